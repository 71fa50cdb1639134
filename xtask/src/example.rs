//! `cargo xtask example`: what README and guide say works when it is pasted, and examples/countries
//! gives the right answers on the real program.

use anyhow::Result;

use crate::clients::pytest;
use crate::server::ServerArguments;
use crate::steps::Tally;
use crate::{packages, paste, project};

pub(crate) fn run(arguments: &ServerArguments) -> Result<Tally> {
    let mut tally = paste::run(&arguments.executable()?)?;
    let folder = project::root().join("examples/countries");
    let programs = packages::python(&folder.join("requirements.txt"))?;
    let data = packages::node(&folder.join("package-lock.json"))?;
    let data = data.join("world-countries/countries.json");
    let (_data, server) = arguments.start(&[])?;
    let variables = [("SERVER_URL", server.url()), ("COUNTRIES", data.display().to_string())];
    tally += pytest(&programs, &folder, &variables)?;
    if tally.failed > 0 {
        println!("the end of the server's log:\n{}", server.log_tail());
    }
    server.stop()?;
    Ok(tally)
}
