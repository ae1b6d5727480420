// Loaded before Azurite: when the rehearsal ends, however it ends, its end of this pipe closes, and Azurite ends too.
// While it is still starting nobody listens for the signal, or what listens has nothing to close yet.
process.stdin.on("end", () => {
  if (!process.emit("SIGTERM")) process.exit();
  setTimeout(() => process.exit(), 5000).unref();
}).resume();
