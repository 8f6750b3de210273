//! NVIDIA's driver, as much of it as is needed: a card, memory on it, and the kernels; in [`host`], main memory that
//! it copies well; in [`graph`], launches that are kept; in [`clock`], how long they take. All unsafe code of the backend is here.
//!
//! The driver's library is looked for when a card is first asked for, so that the plugin loads on a machine without one.
//! (cudarc panics at the first call where the library is missing: hence [`is_there`].) Everything runs in one stream per
//! card, in the order in which it was asked for; what is copied back is waited for.

mod clock;
#[cfg(test)]
pub mod emulated;
mod graph;
mod host;

use std::ffi::{CString, c_void};
use std::sync::Arc;

use cudarc::driver::result::{self, DriverError};
use cudarc::driver::sys;

use self::clock::Clock;
pub use self::clock::Timed;
pub use self::graph::Graph;
pub use self::host::HostMemory;
use super::kernels::{Argument, Kernel};
use crate::{Error, Result};

/// A card's name and memory.
#[derive(Clone, Debug)]
pub struct Listed {
    /// What its maker calls it.
    pub name: String,
    /// Its memory in bytes.
    pub memory_total: u64,
    /// How much of it nobody uses.
    pub memory_free: u64,
}

/// A card in use: the kernels are loaded.
pub struct Card {
    number: usize,
    name: String,
    context: Context,
    module: sys::CUmodule,
    stream: sys::CUstream,
    /// Null where the card lacks one that it may lack.
    functions: Vec<sys::CUfunction>,
    clock: Clock,
}

// SAFETY: the driver's handles may be used by any thread that has made their context current, which every call here does.
unsafe impl Send for Card {}
// SAFETY: as above; the driver does its own locking.
unsafe impl Sync for Card {}

/// A card's primary context, held.
struct Context {
    device: sys::CUdevice,
    handle: sys::CUcontext,
}

/// Whether there is a driver on this machine.
pub fn is_there() -> bool {
    // SAFETY: loading the driver's library runs nothing but its initialisers, which every CUDA program runs.
    unsafe { sys::is_culib_present() }
}

/// The cards of this machine; none where there is no driver.
///
/// # Errors
/// [`Error::Device`] for a driver that does not work.
pub fn list() -> Result<Vec<Listed>> {
    (0..count()?)
        .map(|number| {
            let context = Context::hold(number)?;
            let (memory_total, memory_free) = context.memory(number)?;
            Ok(Listed {
                name: context.name(number)?,
                memory_total,
                memory_free,
            })
        })
        .collect()
}

/// The number of cards; 0 where there is no driver.
///
/// # Errors
/// [`Error::Device`] for a driver that does not work.
pub fn count() -> Result<usize> {
    if !is_there() {
        return Ok(0);
    }
    match result::init() {
        Err(DriverError(sys::CUresult::CUDA_ERROR_NO_DEVICE)) => return Ok(0),
        other => other.map_err(|error| failure("cuda", error))?,
    }
    let count = result::device::get_count().map_err(|error| failure("cuda", error))?;
    Ok(count as usize)
}

/// An error of the driver's about a device, as ours.
fn failure(device: &str, DriverError(code): DriverError) -> Error {
    match code {
        sys::CUresult::CUDA_ERROR_OUT_OF_MEMORY => {
            Error::Memory(format!("device: {device} has not enough memory left"))
        }
        code => Error::Device(format!("device: {device} failed: {code:?}")),
    }
}

impl Context {
    fn hold(number: usize) -> Result<Self> {
        let fails = |error| failure(&format!("cuda:{number}"), error);
        let index = i32::try_from(number).unwrap_or(i32::MAX);
        let device = result::device::get(index).map_err(fails)?;
        // SAFETY: the device comes from the driver; it is released when this is dropped.
        let handle = unsafe { result::primary_ctx::retain(device) }.map_err(fails)?;
        let context = Self { device, handle };
        context.enter().map_err(fails)?;
        Ok(context)
    }

    /// Makes it the calling thread's.
    fn enter(&self) -> Result<(), DriverError> {
        // SAFETY: the context is held.
        unsafe { result::ctx::set_current(self.handle) }
    }

    fn name(&self, number: usize) -> Result<String> {
        result::device::get_name(self.device).map_err(|error| failure(&format!("cuda:{number}"), error))
    }

    /// Total and free.
    fn memory(&self, number: usize) -> Result<(u64, u64)> {
        let asked = self.enter().and_then(|()| result::mem_get_info());
        let (free, total) = asked.map_err(|error| failure(&format!("cuda:{number}"), error))?;
        Ok((total as u64, free as u64))
    }
}

impl Drop for Context {
    fn drop(&mut self) {
        // What could be done about a failure?
        // SAFETY: it was retained once, and nothing of it is used any more.
        let _ = unsafe { result::primary_ctx::release(self.device) };
    }
}

/// The kernels from the first of these images, which are PTX or packed machine code, that the driver takes.
fn load(images: &[&[u8]]) -> Result<sys::CUmodule, DriverError> {
    let mut outcome = Err(DriverError(sys::CUresult::CUDA_ERROR_NO_BINARY_FOR_GPU));
    for image in images {
        // Aligned as packed images are in a program, and ended by a 0, as PTX is to be.
        let mut aligned = vec![0u64; image.len() / size_of::<u64>() + 1];
        bytemuck::cast_slice_mut(&mut aligned)[..image.len()].copy_from_slice(image);
        // SAFETY: packed images tell their length, and PTX ends with a 0.
        outcome = unsafe { result::module::load_data(aligned.as_ptr().cast::<c_void>()) };
        if outcome.is_ok() {
            break;
        }
    }
    outcome
}

impl Card {
    /// Takes a card into use, and loads the kernels from the first of these images that the driver takes.
    ///
    /// # Errors
    /// [`Error::Device`] where there is no driver or no such card, or it is too old; [`Error::Memory`] where it is full.
    pub fn open(number: usize, images: &[&[u8]]) -> Result<Arc<Self>> {
        // Not by listing them, which would make a context on every card.
        let count = count()?;
        if number >= count {
            let found = match count {
                0 if !is_there() => "there is no NVIDIA driver on this machine".into(),
                count => format!("there are {count} such cards on this machine"),
            };
            return Err(Error::Device(format!("device: cuda:{number} cannot be used: {found}")));
        }
        let fails = |error| failure(&format!("cuda:{number}"), error);
        let context = Context::hold(number)?;
        let module = load(images).map_err(fails)?;
        let mut card = Self {
            number,
            name: context.name(number)?,
            context,
            module,
            stream: std::ptr::null_mut(),
            functions: Vec::new(),
            clock: Clock::default(),
        };
        card.stream = result::stream::create(result::stream::StreamKind::NonBlocking).map_err(fails)?;
        for kernel in Kernel::ALL {
            let name = CString::new(kernel.name()).map_err(|error| Error::Internal(error.to_string()))?;
            // SAFETY: the module is loaded.
            let function = match unsafe { result::module::get_function(card.module, name) } {
                Err(_) if kernel.may_lack() => std::ptr::null_mut(),
                other => other.map_err(fails)?,
            };
            card.functions.push(function);
        }
        Ok(Arc::new(card))
    }

    /// What its maker calls it.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whether it has the kernels that are for cards of compute capability 9.0 alone.
    pub fn is_hopper(&self) -> bool {
        self.functions.iter().all(|function| !function.is_null())
    }

    /// How much of its memory nobody uses.
    ///
    /// # Errors
    /// When the card fails.
    pub fn free_memory(&self) -> Result<u64> {
        self.context.memory(self.number).map(|(_, free)| free)
    }

    fn checked<T>(&self, outcome: Result<T, DriverError>) -> Result<T> {
        outcome.map_err(|error| failure(&format!("cuda:{}", self.number), error))
    }

    fn enter(&self) -> Result<()> {
        self.checked(self.context.enter())
    }

    /// Until all that was asked for is done.
    fn wait(&self) -> Result<()> {
        // SAFETY: the stream is the card's.
        let waited = unsafe { result::stream::synchronize(self.stream) };
        self.checked(waited)
    }

    /// Starts a kernel on a grid of so many blocks of `kernel.threads()` threads.
    ///
    /// # Errors
    /// [`Error::Internal`] for arguments that are not the kernel's, [`Error::Device`] when the card fails.
    pub fn launch(&self, kernel: Kernel, grid: (usize, usize), arguments: &mut [Argument]) -> Result<()> {
        if !self.is_timed() {
            return self.ask(kernel, grid, arguments);
        }
        let begun = self.record()?;
        self.ask(kernel, grid, arguments)?;
        self.note(begun, kernel, grid, arguments)
    }

    fn ask(&self, kernel: Kernel, (across, down): (usize, usize), arguments: &mut [Argument]) -> Result<()> {
        let given: String = arguments.iter().map(Argument::kind).collect();
        if given != kernel.signature() {
            return Err(Error::Internal(format!("{} does not take {given}", kernel.name())));
        }
        let function = self.functions[kernel.index()];
        if function.is_null() {
            return Err(Error::Internal(format!("{} has no {}", self.name, kernel.name())));
        }
        let size = |blocks: usize| {
            u32::try_from(blocks).map_err(|_| Error::Memory("the picture is too large for a card".into()))
        };
        let grid = (size(across)?, size(down)?, 1);
        let mut pointers: Vec<*mut c_void> = arguments.iter_mut().map(Argument::pointer).collect();
        self.enter()?;
        // SAFETY: number and types of the arguments are the kernel's, and they are copied before this returns. The
        // addresses among them belong to the card; one that is wrong faults there and comes back as an error.
        let launched =
            unsafe { result::launch_kernel(function, grid, (kernel.threads(), 1, 1), 0, self.stream, &mut pointers) };
        self.checked(launched)
    }
}

impl Drop for Card {
    fn drop(&mut self) {
        // SAFETY: these are the card's own handles, which nobody has outlived: buffers hold the card.
        unsafe {
            if self.context.enter().is_ok() {
                // Events are of the context, which goes before a clock that was never stopped.
                self.forget_clock();
                if !self.stream.is_null() {
                    let _ = result::stream::destroy(self.stream);
                }
                let _ = result::module::unload(self.module);
            }
        }
    }
}

/// A piece of a card's memory.
pub struct Memory {
    card: Arc<Card>,
    address: u64,
    bytes: usize,
}

impl Memory {
    /// So many bytes, with anything in them.
    ///
    /// # Errors
    /// [`Error::Memory`] where the card is full.
    pub fn new(card: &Arc<Card>, bytes: usize) -> Result<Self> {
        card.enter()?;
        let bytes = bytes.max(1);
        // SAFETY: the memory is freed once, when this is dropped.
        let address = card.checked(unsafe { result::malloc_sync(bytes) })?;
        Ok(Self {
            card: card.clone(),
            address,
            bytes,
        })
    }

    /// Where `bytes` bytes from `offset` on are.
    fn at(&self, offset: usize, bytes: usize) -> Result<u64> {
        let end = offset.checked_add(bytes);
        if end.is_none_or(|end| end > self.bytes) {
            return Err(Error::Internal(format!("{bytes} bytes at {offset} of {}", self.bytes)));
        }
        Ok(self.address + offset as u64)
    }

    /// Its size in bytes.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// The address of a place in it, for kernels.
    pub fn address(&self, offset: usize) -> Argument {
        Argument::Pointer(self.number_of(offset))
    }

    /// That address as a number, for tables that kernels look things up in.
    pub fn number_of(&self, offset: usize) -> u64 {
        self.address + offset as u64
    }

    /// Copies numbers onto the card.
    ///
    /// # Errors
    /// When the card fails.
    pub fn write<T: bytemuck::Pod>(&self, offset: usize, values: &[T]) -> Result<()> {
        let to = self.at(offset, size_of_val(values))?;
        self.card.enter()?;
        // SAFETY: the room is this memory's own, and the values are read before the stream is waited for.
        let copied = unsafe { result::memcpy_htod_async(to, values, self.card.stream) };
        self.card.checked(copied)?;
        self.card.wait()
    }

    /// Copies numbers from the card, when all that was asked for before is done.
    ///
    /// # Errors
    /// When the card fails, or a kernel has.
    pub fn read<T: bytemuck::Pod>(&self, offset: usize, count: usize) -> Result<Vec<T>> {
        let mut values = vec![T::zeroed(); count];
        let from = self.at(offset, size_of_val(&values[..]))?;
        self.card.enter()?;
        // SAFETY: the room is this memory's own, and the stream is waited for while the values are held.
        let copied = unsafe { result::memcpy_dtoh_async(&mut values, from, self.card.stream) };
        self.card.checked(copied)?;
        self.card.wait()?;
        Ok(values)
    }

    /// Fills a place with zeros.
    ///
    /// # Errors
    /// When the card fails.
    pub fn clear(&self, offset: usize, bytes: usize) -> Result<()> {
        let at = self.at(offset, bytes)?;
        self.card.enter()?;
        // SAFETY: the room is this memory's own.
        let cleared = unsafe { result::memset_d8_async(at, 0, bytes, self.card.stream) };
        self.card.checked(cleared)
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        if self.card.context.enter().is_ok() {
            // SAFETY: it was allocated once and is freed once; what still runs on it, the driver waits for.
            let _ = unsafe { result::free_sync(self.address) };
        }
    }
}
