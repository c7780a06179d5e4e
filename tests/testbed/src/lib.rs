//! Real hosts for the tests and the demo.
