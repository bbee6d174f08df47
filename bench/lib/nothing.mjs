// The least a Node process can do: say something. JavaScript, so that no types are stripped.
process.stdout.write('.')
