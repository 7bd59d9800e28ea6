//! libvirt's own log, which goes to standard error and over the screen unless
//! the environment says otherwise.

/// What libvirt reads once, when it is first used.
const OUTPUTS: &str = "LIBVIRT_LOG_OUTPUTS";
/// Errors alone, and those to nowhere: each is the answer of a call as well.
const NOWHERE: &str = "4:file:/dev/null";
/// With one of these set, the operator wants to read the log.
const WANTED: [&str; 2] = [OUTPUTS, "LIBVIRT_DEBUG"];

/// Keeps libvirt's warnings off the terminal. Does nothing when the operator
/// asks for the log, or when another thread is running already.
pub(in super::super) fn keep_off_the_terminal() {
    if WANTED.iter().any(|name| std::env::var_os(name).is_some()) || !is_only_thread() {
        return;
    }
    // SAFETY: no other thread exists that could read the environment now, nor
    // can one be started meanwhile, since only this thread could do so.
    unsafe { std::env::set_var(OUTPUTS, NOWHERE) }
}

fn is_only_thread() -> bool {
    std::fs::read_dir("/proc/self/task").is_ok_and(|tasks| tasks.count() == 1)
}

#[cfg(test)]
mod tests {
    use super::{OUTPUTS, keep_off_the_terminal};

    #[test]
    fn beside_other_threads_the_environment_is_left_alone() {
        let before = std::env::var_os(OUTPUTS);
        let (stop, stopped) = std::sync::mpsc::channel::<()>();
        let other = std::thread::spawn(move || stopped.recv());
        keep_off_the_terminal();
        assert_eq!(std::env::var_os(OUTPUTS), before);
        drop(stop);
        assert!(other.join().unwrap().is_err());
    }
}
