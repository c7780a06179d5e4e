//! An admin machine of our own: state, stack.yaml and images in a folder, hosts in a testbed.

use std::process::Command;

use anyhow::Result;
use camino::{Utf8Path, Utf8PathBuf};
use foundry_testbed::{Host, ImageArchive, Owner, Testbed};
use fs_err as fs;

use crate::places::Places;

/// What `foundry` sees of the world.
pub(crate) struct Admin {
    folder: Utf8PathBuf,
    program: Utf8PathBuf,
    agents: Utf8PathBuf,
    whoami: Utf8PathBuf,
    testbed: Testbed,
}

/// A service of the stack: its image holds whoami and answers with the service's name.
pub(crate) struct Service<'h> {
    pub(crate) name: &'static str,
    /// The port on the hosts.
    pub(crate) port: u16,
    pub(crate) hosts: Vec<&'h Host>,
    /// The value of the variable `RELEASE`; a change to it is a change of the service.
    pub(crate) release: String,
}

// === impl Admin ===

impl Admin {
    /// In this folder, with hosts of this owner, running this build of the command.
    pub(crate) fn new(
        places: &Places,
        folder: Utf8PathBuf,
        owner: Owner,
        program: &Utf8Path,
    ) -> Result<Self> {
        Ok(Self {
            testbed: Testbed::open(owner, &folder.join("ssh"))?,
            folder,
            program: program.to_owned(),
            agents: places.agents(),
            whoami: places.musl_binary("whoami"),
        })
    }

    pub(crate) fn testbed(&self) -> &Testbed {
        &self.testbed
    }

    pub(crate) fn stack_file(&self) -> Utf8PathBuf {
        self.folder.join("stack.yaml")
    }

    /// `FOUNDRY_*`.
    pub(crate) fn environment(&self) -> [(&'static str, String); 4] {
        [
            ("FOUNDRY_HOME", self.folder.join("home").into_string()),
            ("FOUNDRY_CONFIG", self.stack_file().into_string()),
            ("FOUNDRY_SSH", self.testbed.ssh().program()),
            ("FOUNDRY_AGENT_DIR", self.agents.to_string()),
        ]
    }

    /// The command with its arguments.
    pub(crate) fn foundry(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.program);
        command.envs(self.environment()).args(arguments);
        command
    }

    /// Writes stack.yaml and the services' image archives. A fleet that foundry has written stays.
    pub(crate) fn write_stack(&self, hosts: &[Host], services: &[Service<'_>]) -> Result<()> {
        let mut text = String::from("version: \"1\"\ncluster: { name: testbed }\n");
        let before = fs::read_to_string(self.stack_file()).unwrap_or_default();
        for line in before.lines().filter(|line| line.starts_with("fleet:")) {
            text += &format!("{line}\n");
        }
        text += "hosts:\n";
        for host in hosts {
            text += &format!(
                "  - hostname: {}\n    address: {}\n    user: root\n",
                host.name(),
                host.address()
            );
        }
        text += "services:\n";
        for service in services {
            text += &service.yaml();
            ImageArchive::new(format!("localhost/{}:1", service.name))
                .arguments(&["--name", service.name])
                .write(
                    &self.whoami,
                    &self.folder.join(format!("{}.tar", service.name)),
                )?;
        }
        Ok(fs::write(self.stack_file(), text)?)
    }

    /// Stops the controller, and removes hosts, state, images and stack.yaml; the ssh folder stays in use.
    pub(crate) fn forget(&self) -> Result<()> {
        if self.folder.join("home").exists() && self.stack_file().exists() {
            // A fleet without a controller has none to stop.
            foundry_testbed::run(&mut self.foundry(&["controller", "stop"]))?;
        }
        self.testbed.down()?;
        for entry in self.folder.read_dir_utf8()? {
            let entry = entry?;
            match entry.file_type()?.is_dir() {
                true if entry.file_name() == "ssh" => {}
                true => fs::remove_dir_all(entry.path())?,
                false => fs::remove_file(entry.path())?,
            }
        }
        Ok(())
    }
}

// === impl Service ===

impl Service<'_> {
    fn yaml(&self) -> String {
        let Self {
            name,
            port,
            release,
            ..
        } = self;
        let hosts: Vec<&str> = self.hosts.iter().map(|host| host.name()).collect();
        format!(
            "  - name: {name}\n    image: localhost/{name}:1\n    image_archive: ./{name}.tar\n    hosts: [{}]\n    \
             ports: [\"{port}:80\"]\n    env: {{ RELEASE: \"{release}\" }}\n    \
             health: {{ http: \"http://127.0.0.1:{port}/health\" }}\n",
            hosts.join(", "),
        )
    }
}
