import { start } from "./page.js";
import { ServerSource } from "./server_source.js";
start(new ServerSource());
