// Loaded before Azurite: when the rehearsal ends, however it ends, its end of this pipe closes, and Azurite ends too.
process.stdin.on("end", () => process.emit("SIGTERM")).resume();
