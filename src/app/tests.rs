//! Behaviour of the app.
