//! A small EC2 that speaks the real query protocol, for tests.
