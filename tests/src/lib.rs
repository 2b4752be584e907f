//! Holds nothing: what drives the real host from outside is the test `usher` and the program `bench` of this package.
