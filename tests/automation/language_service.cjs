// Microsoft's language service for Azure Pipelines, asked for what it finds: a line of JSON a file.
//   node language_service.cjs SCHEMA FILE...
const fs = require("fs");
console.log = () => {}; // the service tells what it does
const { createRequire } = require("module");
const installed = createRequire(process.cwd() + "/"); // node_modules lies where this is started, not beside this file
const { getLanguageService } = installed("azure-pipelines-language-service/lib/yamlLanguageService.js");
const { parse } = installed("azure-pipelines-language-service/lib/parser/yamlParser.js");
const { TextDocument } = installed("vscode-languageserver-textdocument");

(async () => {
  const [schemaFile, ...files] = process.argv.slice(2);
  const schema = fs.readFileSync(schemaFile, "utf8");
  const service = getLanguageService(() => Promise.resolve(schema), [], undefined, { resolveRelativePath: (_, path) => path });
  service.configure({ validate: true, schemas: [{ uri: "azure-pipelines", fileMatch: ["*.yml"], schema: JSON.parse(schema) }] });
  for (const [index, file] of files.entries()) {
    const text = fs.readFileSync(file, "utf8");
    const found = await service.doValidation(TextDocument.create(`file:///${index}.yml`, "azure-pipelines", 1, text), parse(text, []));
    process.stdout.write(JSON.stringify(found.map((one) => `line ${one.range.start.line + 1}: ${one.message}`)) + "\n");
  }
})();
