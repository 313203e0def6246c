// An item is a line of JSON on stdout: {"type": "INSERT_DATA", "payload": {…}}. Any other line is log.
'use strict'
const { builtinModules } = require('node:module')

const say = (type, payload) => console.log(JSON.stringify({ type, payload }))
const names = builtinModules.filter((name) => !name.startsWith('_') && !name.includes('/'))

names.forEach((name, index) => {
  const exported = Object.entries(require(name))
  const functions = exported.filter(([, value]) => typeof value === 'function').length
  say('INSERT_DATA', { module: name, exports: exported.length, functions })
  say('STATUS', { progress: (index + 1) / names.length, message: name })
})
console.error(`looked at ${names.length} modules of Node.js ${process.version}`)
