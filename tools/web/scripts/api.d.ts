/** What the pack uses of ComfyUI's connection to its server. */

/** A file that a node has put out, as the route /view takes it. */
export interface OutputFile {
  filename: string;
  subfolder: string;
  type: string;
}

/** What came with each event of the server. */
export interface Events {
  /** Older frontends say promptId, or nothing. */
  b_preview_with_metadata: { blob: Blob; nodeId: string; jobId?: string; promptId?: string };
  executed: { node: string; prompt_id: string; output?: { images?: OutputFile[]; [key: string]: unknown } };
  execution_error: { prompt_id: string; exception_message?: string };
  execution_interrupted: { prompt_id: string };
  execution_success: { prompt_id: string };
  "energy_guidance.monitor": import("../../../web/monitor_data.js").Message;
  "energy_guidance.note": { node: string; prompt_id: string; text: string };
  reconnected: void;
  status: unknown;
}

export const api: {
  /** Undefined until the server has answered. */
  clientId?: string;
  apiURL(route: string): string;
  /** Names of templates by the folder of their pack; a ComfyUI may have another way one day. */
  getWorkflowTemplates?(): Promise<Record<string, string[]>>;
  fetchApi(route: string, options?: RequestInit): Promise<Response>;
  queuePrompt(...request: unknown[]): Promise<{ prompt_id?: string } | undefined>;
  addEventListener<Name extends keyof Events>(name: Name, heard: (event: CustomEvent<Events[Name]>) => void): void;
};
