//! Rates as angles: `atan(rate / reference)` in degrees.

use serde::{Deserialize, Serialize};

use crate::model::Degrees;

/// The angle of `rate` against the rate that reads 45°.
#[must_use]
pub fn angle(rate: f64, reference: f64) -> Degrees {
    Degrees((rate / reference).atan().to_degrees())
}

/// `vm_features.memory_angle_deg`: the stored formula, fixed for ever and
/// without any scale. `rate` is the growth of memory in use, in KiB per second.
#[must_use]
pub fn stored_memory_angle(rate: f64) -> Degrees {
    Degrees((rate + 1e-12).atan().to_degrees())
}

/// Whether angles are scaled to references or raw.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AngleMode {
    /// Each metric has its own reference.
    #[default]
    Scaled,
    /// Reference 1 in the base unit: ns/s, KiB/s, bytes/s.
    Raw,
}

/// The references of the six angles (`angle.*` in the configuration).
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct AngleScale {
    /// Scaled, or reference 1 for all.
    pub mode: AngleMode,
    /// Fraction of the VM's vCPUs busy that reads 45°; 1.0 is all of them.
    pub cpu: f64,
    /// Memory growth in bytes per second that reads 45°.
    pub memory: f64,
    /// Disk bytes per second that read 45°.
    pub disk: f64,
    /// Network bytes per second that read 45°.
    pub network: f64,
}

impl Default for AngleScale {
    fn default() -> Self {
        const MIB: f64 = 1024.0 * 1024.0;
        Self { mode: AngleMode::Scaled, cpu: 1.0, memory: MIB, disk: 10.0 * MIB, network: 10.0 * MIB }
    }
}

impl AngleScale {
    /// Angle of the guest's CPU use: `cores` busy out of `vcpus`.
    #[must_use]
    pub fn cpu_angle(&self, cores: f64, vcpus: f64) -> Degrees {
        match self.mode {
            AngleMode::Scaled => angle(cores, self.cpu * vcpus),
            AngleMode::Raw => angle(cores * 1e9, 1.0),
        }
    }

    /// Angle of memory growth, `rate` in KiB per second, negative when shrinking.
    #[must_use]
    pub fn memory_angle(&self, rate: f64) -> Degrees {
        match self.mode {
            AngleMode::Scaled => angle(rate * 1024.0, self.memory),
            AngleMode::Raw => angle(rate, 1.0),
        }
    }

    /// Angle of disk traffic in bytes per second.
    #[must_use]
    pub fn disk_angle(&self, rate: f64) -> Degrees {
        match self.mode {
            AngleMode::Scaled => angle(rate, self.disk),
            AngleMode::Raw => angle(rate, 1.0),
        }
    }

    /// Angle of network traffic in bytes per second.
    #[must_use]
    pub fn network_angle(&self, rate: f64) -> Degrees {
        match self.mode {
            AngleMode::Scaled => angle(rate, self.network),
            AngleMode::Raw => angle(rate, 1.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reference_rate_reads_45_degrees_and_raw_reads_near_90() {
        let scaled = AngleScale::default();
        for Degrees(d) in [
            scaled.cpu_angle(4.0, 4.0),
            scaled.memory_angle(1024.0),
            scaled.disk_angle(10_485_760.0),
            scaled.network_angle(10_485_760.0),
        ] {
            assert!((d - 45.0).abs() < 1e-9, "{d}");
        }
        assert!((scaled.memory_angle(-1024.0).0 + 45.0).abs() < 1e-9);
        let raw = AngleScale { mode: AngleMode::Raw, ..scaled };
        assert!(raw.disk_angle(1000.0).0 > 89.9);
        assert!((raw.network_angle(1.0).0 - 45.0).abs() < 1e-9);
    }
}
