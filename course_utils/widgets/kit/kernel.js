// Requests to the kernel.

/** One request is on its way to the kernel; what is asked or told meanwhile waits. */
function requestsTo(model, changed) {
  const view = freshId(), events = [];
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
    /** Latest wins: a request says all that the view wants, so dropping the older ones that wait loses nothing. */
    ask(request) {
      if (onItsWay === null) send(request);
      else newest = request;
    },
    /** An event, such as the answer to a question: each arrives, in their order. */
    tell(event) {
      if (onItsWay === null) send(event);
      else events.push(event);
    },
    /** Call at each change of `shown`. True if it answers this view's own request. */
    answered(id) {
      if (id !== onItsWay || id === null) return false;
      clearTimeout(timer);
      onItsWay = null;
      const request = events.shift() ?? newest;
      if (request === newest) newest = null;
      if (request) send(request);
      else changed("idle");
      return true;
    },
    idle: () => onItsWay === null,
  };
}

