// The modules that Node.js itself has: how many functions each exports, and how many of them take a callback, as
// those from before promises do. `acorn` reads their source. Two commands run it:
//
//     silkmill run examples/node
//     silkmill items last --format csv
//
// An item is a line of JSON on stdout: {"type": "INSERT_DATA", "payload": {…}}. Any other line is log.
'use strict'
const { builtinModules } = require('node:module')
const { parseExpressionAt } = require('acorn')

const say = (type, payload) => console.log(JSON.stringify({ type, payload }))
const names = builtinModules.filter((name) => !name.startsWith('_') && !name.includes('/'))

names.forEach((name, index) => {
  const exported = Object.values(require(name))
  const functions = exported.filter((value) => typeof value === 'function')
  const callbacks = functions.filter(takesCallback).length
  say('INSERT_DATA', { module: name, exports: exported.length, functions: functions.length, callbacks })
  say('STATUS', { progress: (index + 1) / names.length, message: name })
})
console.error(`looked at ${names.length} modules of Node.js ${process.version}`)

function takesCallback (value) {
  const source = value.toString()
  if (source.startsWith('class') || source.endsWith('{ [native code] }')) return false
  return ['callback', 'cb'].includes(lastParameter(source)?.name)
}

function lastParameter (source) {
  try {
    return parseExpressionAt(source, 0, { ecmaVersion: 'latest' }).params.at(-1)
  } catch { // a method, which is one only inside of an object
    return parseExpressionAt(`({${source}})`, 0, { ecmaVersion: 'latest' }).properties[0].value.params.at(-1)
  }
}
