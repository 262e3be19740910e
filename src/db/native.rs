//! The native engine: writes into a database of either format, in place.
