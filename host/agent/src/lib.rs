//! The process beside a media server that reports how it does.
