//! What a driver has to know of a module: its target, its version, and the entries with their parameters.

use std::ffi::c_void;
use std::ptr;
use std::sync::Arc;
use std::sync::atomic::{AtomicI32, Ordering};

use pubtag_cuda_simt::Kernel;

/// Shared memory that a launch may ask for without an attribute.
const DEFAULT_SHARED_MEMORY: i32 = 48 * 1024;

/// A module.
#[derive(Debug)]
pub(crate) struct Module {
    /// ISA version, as major · 10 + minor.
    pub(crate) version: i32,
    /// Compute capability that it is for.
    pub(crate) target: i32,
    /// Whether it runs on that very capability only (`sm_90a`).
    pub(crate) exact: bool,
    pub(crate) functions: Vec<Function>,
}

/// A kernel.
#[derive(Debug)]
pub(crate) struct Function {
    pub(crate) name: String,
    parameters: Vec<Parameter>,
    /// `.reqntid`: the block that it must be launched with.
    pub(crate) required_block: Option<[u32; 3]>,
    /// `.maxntid`: the most threads of a block.
    pub(crate) most_threads: Option<u32>,
    shared_memory: AtomicI32,
    /// The decoded module and the kernel's number in it, if kernels are executed.
    code: Option<(Arc<pubtag_cuda_simt::Module>, usize)>,
}

/// A parameter of a kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Parameter {
    /// Eight bytes that may be an address.
    Pointer,
    /// Anything else.
    Value,
}

impl Module {
    /// Reads the outline of a module; `None` if it is not PTX.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let directive = |name: &str| text.lines().find_map(|line| line.strip_prefix(name));
        let (major, minor) = directive(".version ")?.trim().split_once('.')?;
        let target = directive(".target sm_")?.split(',').next()?.trim();
        let digits = target.trim_end_matches(|letter: char| letter.is_ascii_alphabetic());
        Some(Self {
            version: 10 * major.parse::<i32>().ok()? + minor.parse::<i32>().ok()?,
            target: digits.parse().ok()?,
            exact: digits != target,
            functions: text.split(".entry ").skip(1).filter_map(Function::parse).collect(),
        })
    }

    /// Decodes the code of all kernels, so that they can be executed.
    pub(crate) fn decode(&mut self, text: &str) -> Result<(), pubtag_cuda_simt::ParseError> {
        let module = Arc::new(pubtag_cuda_simt::Module::parse(text)?);
        for function in &mut self.functions {
            let number = module.kernels.iter().position(|kernel| kernel.name == function.name);
            function.code = number.map(|number| (Arc::clone(&module), number));
        }
        Ok(())
    }
}

impl Function {
    /// Parses what follows `.entry`.
    fn parse(text: &str) -> Option<Self> {
        let (name, rest) = text.split_once('(')?;
        let (parameters, rest) = rest.split_once(')')?;
        let (directives, _) = rest.split_once('{')?;
        let numbers = |name: &str| -> Option<Vec<u32>> {
            let (_, values) = directives.split_once(name)?;
            let line = values.lines().next()?;
            line.split(',').map(|value| value.trim().parse().ok()).collect()
        };
        let size = |values: Vec<u32>| [0, 1, 2].map(|at| values.get(at).copied().unwrap_or(1));
        Some(Self {
            name: name.trim().to_owned(),
            parameters: parameters.split(',').filter(|text| text.contains(".param")).map(Parameter::parse).collect(),
            required_block: numbers(".reqntid").map(size),
            most_threads: numbers(".maxntid").map(|values| values.iter().product()),
            shared_memory: AtomicI32::new(DEFAULT_SHARED_MEMORY),
            code: None,
        })
    }

    /// The kernel to execute, and the module that it belongs to.
    pub(crate) fn kernel(&self) -> Option<(&pubtag_cuda_simt::Module, &Kernel)> {
        let (module, number) = self.code.as_ref()?;
        Some((module, module.kernels.get(*number)?))
    }

    /// The parameters of a launch, laid out as the kernel reads them.
    pub(crate) fn parameter_bytes(&self, kernel: &Kernel, parameters: *const *const c_void) -> Vec<u8> {
        let mut all = vec![0; kernel.parameter_bytes()];
        for (at, parameter) in kernel.parameters.iter().enumerate() {
            let place = &mut all[parameter.offset..parameter.offset + parameter.bytes];
            // SAFETY: a launch has a pointer to each parameter, in their order, and each is as long as it was declared.
            unsafe { ptr::copy_nonoverlapping((*parameters.add(at)).cast::<u8>(), place.as_mut_ptr(), place.len()) };
        }
        all
    }

    /// Lets launches ask for so much dynamic shared memory.
    pub(crate) fn allow_shared_memory(&self, bytes: i32) {
        self.shared_memory.store(bytes.max(DEFAULT_SHARED_MEMORY), Ordering::Relaxed);
    }

    pub(crate) fn most_shared_memory(&self) -> i32 {
        self.shared_memory.load(Ordering::Relaxed)
    }

    /// The addresses among the parameters of a launch, with their places.
    pub(crate) fn pointers(&self, parameters: *const *const c_void) -> Vec<(usize, u64)> {
        let pointers = self.parameters.iter().enumerate().filter(|(_, parameter)| **parameter == Parameter::Pointer);
        // SAFETY: a launch has a pointer to each parameter, in their order, and these have eight bytes.
        pointers.map(|(place, _)| (place, unsafe { (*parameters.add(place)).cast::<u64>().read_unaligned() })).collect()
    }
}

impl Parameter {
    fn parse(text: &str) -> Self {
        let is_array = text.contains('[');
        if text.contains(".u64") && !is_array { Self::Pointer } else { Self::Value }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ADD: &str = "//\n.version 8.8\n.target sm_90a\n.address_size 64\n\n.visible .entry add(\n\t.param .u64 .ptr add_0,\n\
                       \t.param .u32 add_1,\n\t.param .align 8 .b8 add_2[24]\n)\n.reqntid 32, 8\n{\n\tret;\n}\n";

    #[test]
    fn a_module_is_read_as_far_as_a_launch_needs_it() {
        let module = Module::parse(ADD).unwrap();
        assert_eq!((module.version, module.target, module.exact), (88, 90, true));
        let [add] = module.functions.as_slice() else { panic!("one entry, not {:?}", module.functions) };
        assert_eq!((add.name.as_str(), add.required_block, add.most_threads), ("add", Some([32, 8, 1]), None));
        assert_eq!(add.parameters, [Parameter::Pointer, Parameter::Value, Parameter::Value]);
    }

    #[test]
    fn what_is_no_ptx_is_refused() {
        assert!(Module::parse("\x7fELF").is_none());
    }
}
