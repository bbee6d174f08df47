/** A parser that did not come with this Loci, and is not installed. */
export class ParserMissing extends Error {}
