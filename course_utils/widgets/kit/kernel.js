// Requests to the kernel.

/**
 * Latest wins: one request is on its way, and of those made meanwhile only the newest is kept.
 * A request says all that the view wants, so dropping the older ones loses nothing.
 */
function latestWins(model, changed) {
  const view = freshId();
  let count = 0, onItsWay = null, newest = null, timer = null;
  function send(request) {
    onItsWay = `${view}/${count++}`;
    clearTimeout(timer);
    timer = setTimeout(() => changed("slow"), 2000);
    changed("waiting");
    try {
      model.send({ ...request, id: onItsWay });
    } catch {
      changed("slow"); // the page has seen that the kernel has stopped: no answer will come
    }
  }
  return {
    ask(request) {
      if (onItsWay === null) send(request);
      else newest = request;
    },
    /** Call at each change of `shown`. True if it answers this view's own request. */
    answered(id) {
      if (id !== onItsWay || id === null) return false;
      clearTimeout(timer);
      onItsWay = null;
      const request = newest;
      newest = null;
      if (request) send(request);
      else changed("idle");
      return true;
    },
    idle: () => onItsWay === null,
  };
}

