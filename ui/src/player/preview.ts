/** A small picture of the film, cut out of a sheet of many. */
export interface Preview {
  width: number;
  height: number;
  /** Of CSS, for an element of this size. */
  background: string;
}

interface Place {
  positionX: number;
  positionY: number;
  width: number;
  height: number;
}

/** The part of a sheet that a picture is. Addresses are ours, yet quoted: a token never ends the text. */
export function previewOf({ positionX, positionY, width, height }: Place, address: string): Preview {
  return { width, height, background: `url(${JSON.stringify(address)}) -${positionX}px -${positionY}px no-repeat` };
}
