/** What the pack uses of ComfyUI's frontend, in the versions that it supports: 1.27 to 1.47. */

export type Size = [width: number, height: number];

export interface ComfyWidget {
  name: string;
  type: string;
  /** Not checked by the frontend: a workflow may have saved anything. */
  value: unknown;
  options: object;
  /** Greyed out, and not to be changed by hand. */
  disabled?: boolean;
  serialize?: boolean;
  callback?(this: ComfyWidget, value: unknown, ...more: unknown[]): unknown;
  onRemove?(this: ComfyWidget): void;
  /** What is sent to the server in place of the value; the workflow keeps the value. */
  serializeValue?(): unknown;
}

export interface ComfyInput {
  name: string;
  type: string;
  link?: number | null;
}

export interface ComfyLink {
  type?: string;
  origin_id: number | string;
  origin_slot: number;
  target_id: number | string;
  target_slot: number;
}

export interface ComfyNode {
  id: number | string;
  comfyClass?: string;
  type?: string;
  properties: Record<string, unknown>;
  size: Size;
  inputs?: ComfyInput[];
  outputs?: { links?: number[] | null }[];
  widgets?: ComfyWidget[];
  graph?: ComfyGraph | null;
  /** The graph inside, of a subgraph's node. */
  subgraph?: ComfyGraph;
  computeSize(): Size;
  setSize(size: Size): void;
  getInputNode?(slot: number): ComfyNode | null;
  onConnectionsChange?(this: ComfyNode, ...change: unknown[]): void;
  addDOMWidget(name: string, type: string, element: HTMLElement, options: DOMWidgetOptions): ComfyWidget;
}

export interface DOMWidgetOptions {
  serialize: boolean;
  margin: number;
  getMinHeight(): number;
  getMaxHeight(): number;
}

export interface ComfyGraph {
  nodes?: ComfyNode[];
  getLink?(id: number): ComfyLink | null | undefined;
  links?: Map<number, ComfyLink> | Record<number, ComfyLink>;
  getNodeById?(id: number | string): ComfyNode | null | undefined;
  /** Of a subgraph. */
  outputs?: { linkIds?: number[] }[];
  inputNode?: { id: number; slots?: { linkIds?: number[] }[] };
  outputNode?: { id: number };
  setDirtyCanvas?(foreground: boolean, background: boolean): void;
}

export interface ComfySetting {
  id: string;
  category: string[];
  name: string;
  tooltip: string;
  type: "boolean" | "combo";
  options?: string[];
  defaultValue: unknown;
  onChange?(value: unknown): void;
}

/** A node as the server describes it, before the frontend makes its own of it. */
export interface NodeDefinition {
  search_aliases?: string[] | string;
  /** Of the frontend's own: match, how often a node is used (negative), and more; lower is listed earlier. */
  postProcessSearchScores?(scores: number[]): number[];
}

/** The frontend's own extension that keeps the menus of sockets. */
interface SlotMenus {
  slot_types_default_out?: Record<string, string[]>;
  slot_types_default_in?: Record<string, string[]>;
  suggestionsNumber?: { value: number } | null;
  setDefaults?(most?: number): void;
}

export interface ComfyCanvas {
  setDirty?(foreground: boolean, background: boolean): void;
  default_connection_color_byType?: Record<string, unknown>;
  constructor: { link_type_colors?: Record<string, unknown> };
  /** Links that hang on the pointer. */
  linkConnector?: { renderLinks?: { node?: ComfyNode; fromSlot?: { name: string; type: unknown }; toType?: string }[] };
}

export interface ComfyExtension {
  name: string;
  addCustomNodeDefs?(definitions: Record<string, NodeDefinition>): void;
  settings?: ComfySetting[];
  commands?: { id: string; label: string; icon: string; function(): void }[];
  keybindings?: { commandId: string; combo: { key: string; alt?: boolean; shift?: boolean; ctrl?: boolean } }[];
  setup?(): void | Promise<void>;
  nodeCreated?(node: ComfyNode): void;
  afterConfigureGraph?(): void;
}

/** Older frontends call it checkState. */
export interface ChangeTracker {
  captureCanvasState?(): void;
  checkState?(): void;
}

export const app: {
  canvas: ComfyCanvas;
  extensions?: ({ name: string } & SlotMenus)[];
  graph?: ComfyGraph;
  /** Not in every supported frontend. */
  rootGraph?: ComfyGraph;
  extensionManager?: {
    setting?: { get(id: string): unknown; set(id: string, value: unknown): void };
    workflow?: { activeWorkflow?: { path?: string; changeTracker?: ChangeTracker } | null };
  };
  registerExtension(extension: ComfyExtension): void;
};
