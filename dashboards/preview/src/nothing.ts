/** Stands for a package that the preview has no use for. */
export default undefined;
