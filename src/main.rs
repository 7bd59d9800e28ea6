//! Parse, dispatch, exit code: nothing else.

use std::io::{self, Write as _};

use color_eyre::eyre::{Report, Result, WrapErr as _};
use kvmscope::{
    check,
    cli::{self, Command},
    clock::Clock,
    config::{self, Config, Environment, Loaded},
    libvirt, once, runtime,
    telemetry::{self, table::Characters},
};

const SUCCESS: u8 = 0;
const FAILURE: u8 = 1;
/// `once`: libvirt answered and some VM did not.
const SOME_SILENT: u8 = 3;

fn main() {
    libvirt::keep_log_off_the_terminal();
    let request = match cli::read(std::env::args_os()) {
        Ok(request) => request,
        Err(error) => error.exit(),
    };
    let code = match color_eyre::install().and_then(|()| run(&request)) {
        Ok(code) => code,
        Err(report) => {
            // Without a backtrace: these are words for an operator. A panic
            // still reports in full.
            let _ = writeln!(io::stderr(), "kvmscope: {}", words(&report));
            FAILURE
        }
    };
    libvirt::leave(code)
}

/// The chain of causes, each said once: a message may hold its cause's words.
fn words(report: &Report) -> String {
    let mut words = report.to_string();
    for cause in report.chain().skip(1).map(ToString::to_string) {
        if !words.contains(&cause) {
            words = format!("{words}: {cause}");
        }
    }
    words
}

fn run(request: &cli::Request) -> Result<u8> {
    match &request.command {
        Command::Completions(shell) => return print(&cli::completions(*shell)),
        Command::Man => return print(&cli::man()?),
        Command::Screen { .. }
        | Command::Once { .. }
        | Command::Agent
        | Command::Export(_)
        | Command::Check
        | Command::Config => {}
    }
    let load = || Config::load(&request.overrides, &Environment::of_process());
    let loaded = load()?;
    match &request.command {
        Command::Once { json } => read_once(&loaded, *json),
        Command::Agent => {
            let overrides = request.overrides.clone();
            runtime::agent(loaded, move || Config::load(&overrides, &Environment::of_process()))?;
            Ok(SUCCESS)
        }
        Command::Export(asked) => Ok(export(&loaded, asked)),
        Command::Check => check_all(&loaded),
        Command::Config => {
            warn(&loaded);
            print(config::render(&loaded).as_bytes())
        }
        Command::Screen { stopped } => {
            for line in runtime::screen(loaded, *stopped, &request.attach)? {
                let _ = writeln!(io::stderr(), "kvmscope: {line}");
            }
            Ok(SUCCESS)
        }
        Command::Completions(_) | Command::Man => Ok(SUCCESS),
    }
}

fn read_once(loaded: &Loaded, json: bool) -> Result<u8> {
    let frame = once::read_twice(runtime::collector_settings(&loaded.config), Clock::system())?;
    if json {
        let mut text = serde_json::to_vec_pretty(&telemetry::json::frame(&frame))
            .wrap_err("cannot write the reading as JSON")?;
        text.push(b'\n');
        print(&text)?;
    } else {
        let characters = if loaded.config.screen.ascii { Characters::Ascii } else { Characters::Unicode };
        print(telemetry::table::table(&frame, characters).as_bytes())?;
    }
    Ok(if once::everyone_answered(&frame) { SUCCESS } else { SOME_SILENT })
}

fn export(loaded: &Loaded, asked: &cli::Export) -> u8 {
    match runtime::export(&loaded.config, &Clock::system(), asked) {
        Ok(()) => SUCCESS,
        Err(error) => {
            let _ = writeln!(io::stderr(), "kvmscope: {error}");
            error.code()
        }
    }
}

fn check_all(loaded: &Loaded) -> Result<u8> {
    let tasks = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .wrap_err("cannot start the network part; the limit on open files may be reached")?;
    let checks = tasks.block_on(check::run(&loaded.config, &Clock::system()));
    print(check::text(&checks).as_bytes())?;
    Ok(if check::all_ok(&checks) { SUCCESS } else { FAILURE })
}

fn warn(loaded: &Loaded) {
    for warning in &loaded.warnings {
        let _ = writeln!(io::stderr(), "kvmscope: {warning}");
    }
}

/// Writes to standard output; a reader that has left, such as `head`, is no
/// error.
fn print(bytes: &[u8]) -> Result<u8> {
    let mut out = io::stdout().lock();
    match out.write_all(bytes).and_then(|()| out.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(error).wrap_err("cannot write the output")
        }
        _ => Ok(SUCCESS),
    }
}
