//! The policy, row by row, and every recorded answer of a real InfluxDB 3.
