//! In-memory doubles of the traits.
