// A few operations at a time: libuv runs four by default, of the file system and of zlib alike.
const PARALLEL = 4;

/**
 * Runs for each item, four at a time, in their order. Rejects with the first failure when all that began have ended:
 * whoever cleans up then finds no one at work. `failed` is called at once, to break off what the others wait for.
 */
export async function eachInParallel<T>(
  items: readonly T[],
  run: (item: T) => Promise<void>,
  failed: (error: unknown) => void = () => undefined,
): Promise<void> {
  let next = 0;
  const failures: unknown[] = [];
  const worker = async (): Promise<void> => {
    while (next < items.length && failures.length === 0) {
      const item = items[next++];
      if (item !== undefined) await run(item);
    }
  };
  const workers = Array.from({ length: Math.min(PARALLEL, items.length) }, () =>
    worker().catch((error: unknown) => {
      failures.push(error);
      failed(error);
    }),
  );
  await Promise.all(workers);
  if (failures.length > 0) throw failures[0];
}
