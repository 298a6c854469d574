//! The specification of [`crate::Store`]: what both engines must do.
