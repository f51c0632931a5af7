//! From a device and a precision to a running model. The only place that decides what runs where.

use crate::{
    Checkpoint, ClassifierFactory, ClassifierSetup, Device, NerError, Precision, TokenClassifier, Warmed, cpu, cuda,
};

/// Checks that a device can be used: that it exists and, on CUDA, that a kernel can be compiled for it.
///
/// # Errors
/// If this build does not support the device, or the machine lacks it or something it needs.
pub fn probe(device: Device) -> Result<(), NerError> {
    match device {
        Device::Cpu => Ok(()),
        Device::Cuda(number) => cuda::probe(number).map(drop).map_err(|reason| NerError::Device { device, reason }),
    }
}

/// The number of CUDA devices.
///
/// # Errors
/// If this build does not support CUDA, or there is no driver.
pub fn cuda_devices() -> Result<usize, NerError> {
    cuda::count().map_err(|reason| NerError::Device { device: Device::Cuda(0), reason })
}

/// Makes a factory for a checkpoint on a device.
///
/// # Errors
/// If the device cannot be used or lacks the precision.
pub fn classifier(
    checkpoint: &Checkpoint,
    device: Device,
    setup: ClassifierSetup,
) -> Result<ClassifierFactory, NerError> {
    check(device, setup.precision)?;
    let checkpoint = checkpoint.clone();
    Ok(Box::new(move || match device {
        Device::Cpu => Ok(Box::new(cpu::open(&checkpoint, setup.precision)?) as Box<dyn TokenClassifier>),
        Device::Cuda(number) => Ok(cuda::open(&checkpoint, number, &setup)?.0),
    }))
}

/// Opens a model on a device as a run would, and reports how long each shape took. A CPU has nothing to warm up.
///
/// # Errors
/// If the device cannot be used or fails, its logits disagree with the CPU's, or the weights cannot be read.
pub fn warm_up(checkpoint: &Checkpoint, device: Device, setup: &ClassifierSetup) -> Result<Vec<Warmed>, NerError> {
    check(device, setup.precision)?;
    match device {
        Device::Cpu => Ok(Vec::new()),
        Device::Cuda(number) => Ok(cuda::open(checkpoint, number, setup)?.1),
    }
}

/// Checks that a device can be used and supports a precision.
fn check(device: Device, precision: Precision) -> Result<(), NerError> {
    probe(device)?;
    supports(device, precision)
}

fn supports(device: Device, precision: Precision) -> Result<(), NerError> {
    match device {
        Device::Cpu => cpu::arithmetic(precision).map(drop),
        Device::Cuda(_) if precision == Precision::Int8 => {
            Err(NerError::Precision { precision, device, reason: "CUDA devices support f32, f16 and bf16" })
        }
        Device::Cuda(_) => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_device_supports_f32_and_a_refusal_says_what_there_is() {
        assert!(supports(Device::Cuda(0), Precision::F32).is_ok() && supports(Device::Cpu, Precision::Int8).is_ok());
        assert!(supports(Device::Cuda(0), Precision::F16).is_ok() && supports(Device::Cpu, Precision::F16).is_err());
        let refused = supports(Device::Cuda(0), Precision::Int8).unwrap_err();
        assert!(refused.to_string().contains("int8") && refused.to_string().contains("f32"), "{refused}");
    }

    #[cfg(not(feature = "cuda"))]
    #[test]
    fn cuda_without_the_feature_is_a_configuration_error_with_a_way_out() {
        let error = probe(Device::Cuda(0)).unwrap_err();
        assert_eq!(error.kind(), pubtag_stream::FaultKind::Configuration);
        assert!(error.to_string().contains("--features cuda"), "{error}");
    }

    #[cfg(feature = "cuda")]
    #[test]
    fn a_cuda_device_that_cannot_be_used_is_a_configuration_error() {
        match probe(Device::Cuda(0)) {
            Ok(()) => {}
            Err(error) => assert_eq!(error.kind(), pubtag_stream::FaultKind::Configuration, "{error}"),
        }
    }
}
