// @ts-check
/** The pack's templates in the order of their names: the server lists them as its disk does. */
import { api } from "./host.js";
import { inOrder } from "./gallery_data.js";

// The name of the pack's folder, which is the key of its templates: /extensions/<folder>/gallery.js
const folder = decodeURIComponent(new URL(".", import.meta.url).pathname.split("/").at(-2) ?? "");
const listed = api.getWorkflowTemplates;

if (typeof listed === "function")
  api.getWorkflowTemplates = async () => inOrder(await listed.call(api), folder);
