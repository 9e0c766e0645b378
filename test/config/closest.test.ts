import t from 'tap';
import { closest } from '../../src/config/closest.js';

t.test('the nearest word is found, or none', async (t) => {
  const words = ['contains', 'startswith', 'endswith', 'exists', 'gt', 'gte', 'stage', 'stageTimestamp'];
  const table: [word: string, expected: string | undefined][] = [
    ['contians', 'contains'],
    ['Contains', 'contains'],
    ['startwith', 'startswith'],
    ['exist', 'exists'],
    ['gtt', 'gt'],
    ['stag', 'stage'],
    ['satge', 'stage'],
    ['stagetimestamp', 'stageTimestamp'],
    ['re', undefined],
    ['xyz', undefined],
    ['', undefined],
  ];
  for (const [word, expected] of table) t.equal(closest(word, words), expected, word);
  t.equal(closest('a', []), undefined);
});

t.test('of equally near words the first is taken', async (t) => {
  t.equal(closest('cat', ['car', 'bat']), 'car');
});
