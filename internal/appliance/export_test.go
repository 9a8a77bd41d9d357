package appliance

// LargeDocument is for benchmarks outside the package.
var LargeDocument = large
