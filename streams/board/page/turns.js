// What is done with a task is done one after the other, in the order in which it was asked for. Pure.

export class Turns {
  #last = new Map();

  /**
   * Does a deed once all that was asked before of the same task is done; of other tasks it waits for nothing.
   *
   * A deed answers whether it was taken. What waits behind one that was not was meant for what that would have left:
   * it is dropped, and the answer is false.
   */
  async take(taskId, deed) {
    const before = this.#last.get(taskId) ?? Promise.resolve(true);
    const mine = before.then((wasTaken) => wasTaken && deed());
    this.#last.set(taskId, mine);
    try {
      return await mine;
    } finally {
      if (this.#last.get(taskId) === mine) this.#last.delete(taskId);
    }
  }
}
