// A few operations at a time: libuv runs four by default, of the file system and of zlib alike.
const PARALLEL = 4;

/** Runs for each item, four at a time, in their order; rejects with the first failure. */
export async function eachInParallel<T>(items: readonly T[], run: (item: T) => Promise<void>): Promise<void> {
  let next = 0;
  const worker = async (): Promise<void> => {
    while (next < items.length) {
      const item = items[next++];
      if (item !== undefined) await run(item);
    }
  };
  await Promise.all(Array.from({ length: Math.min(PARALLEL, items.length) }, worker));
}
