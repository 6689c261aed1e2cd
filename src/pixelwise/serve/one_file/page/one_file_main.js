import { OnnxSource } from "./onnx_source.js";
import { start } from "./page.js";
start(new OnnxSource(JSON.parse(document.getElementById("told").textContent)));
