//! What a PDF is made into.
