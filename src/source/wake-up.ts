// What a source waits at that has nothing to give out. Of those who wait at the same time only the last is woken early.

export class WakeUp {
  #wake: () => void = () => undefined;

  /** Ends the wait that is under way, if any. */
  wake(): void {
    this.#wake();
  }

  /** Resolves at the next `wake`, at the latest after `timeoutMs`, at once when `signal` aborts. */
  wait(timeoutMs?: number, signal?: AbortSignal): Promise<void> {
    if (signal?.aborted) return Promise.resolve();
    return new Promise((resolve) => {
      const done = (): void => {
        clearTimeout(timer);
        signal?.removeEventListener('abort', done);
        this.#wake = () => undefined;
        resolve();
      };
      const timer = timeoutMs === undefined ? undefined : setTimeout(done, timeoutMs);
      signal?.addEventListener('abort', done);
      this.#wake = done;
    });
  }
}
