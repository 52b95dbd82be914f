//! Web servers, and proxies for HTTP, in front of the listeners of the program under test. Each
//! configuration is the shortest that an administrator would write.

use std::fs;
use std::path::Path;

use crate::daemon::Daemon;
use crate::peers::{Peers, write};
use crate::servers::{LIGHTTPD, NGINX, POST, SCGI, Server, WEBSOCKET, WEBSOCKIFY};

/// An example of ssh over HTTPS for lighttpd, unchanged. It names the listener at port 9001.
const LIGHTTPD_SCGI: &str = include_str!("peers/lighttpd-scgi.conf");

/// The user to which servers switch that refuse to run as root.
const WEB_USER: &str = "www-data";

impl Peers {
    pub(crate) fn start_lighttpd(&self, folder: &Path) -> Result<Daemon, String> {
        self.address(SCGI);
        let log = self.web_log(Server::Lighttpd)?;
        self.serve(Server::Lighttpd, 1, |ports| {
            let config = format!(
                "server.port = {}
                server.bind = \"127.0.0.1\"
                server.document-root = \"{folder}\"
                server.username = \"{WEB_USER}\"
                server.groupname = \"{WEB_USER}\"
                server.modules += ( \"mod_accesslog\" )
                accesslog.filename = \"{log}\"
                {LIGHTTPD_SCGI}",
                ports[0],
                folder = folder.display(),
            );
            self.command("lighttpd", &["-D", "-f", &write(folder, "config", config)])
        })
    }

    /// Starts Apache with one of its process models.
    pub(crate) fn start_apache(&self, server: Server, model: &str, folder: &Path) -> Result<Daemon, String> {
        let (scgi, websocket, post) = (self.port(SCGI), self.port(WEBSOCKET), self.port(POST));
        let log = self.web_log(server)?;
        let tls = self.certificates().folder.display().to_string();
        self.serve(server, 2, |ports| {
            let module =
                |name: &str| format!("LoadModule {name}_module /usr/lib/apache2/modules/mod_{name}.so");
            let names = ["authz_core", "proxy", "proxy_scgi", "proxy_http", "proxy_wstunnel", "ssl"];
            let modules = names.map(module).join("\n");
            let config = format!(
                "LoadModule mpm_{model}_module /usr/lib/apache2/modules/mod_mpm_{model}.so
                {modules}
                ServerRoot {folder}
                ServerName localhost
                PidFile {folder}/pid
                DefaultRuntimeDir {folder}
                User {WEB_USER}
                Group {WEB_USER}
                Listen 127.0.0.1:{http}
                Listen 127.0.0.1:{https}
                ErrorLog /dev/stderr
                TransferLog {log}
                ProxyPass /tunnel scgi://127.0.0.1:{scgi}
                ProxyPass /ssh ws://127.0.0.1:{websocket}/tunnel
                ProxyPass /post http://127.0.0.1:{post}/tunnel
                <VirtualHost 127.0.0.1:{https}>
                SSLEngine on
                SSLCertificateFile {tls}/good.pem
                SSLCertificateKeyFile {tls}/good.key
                </VirtualHost>\n",
                folder = folder.display(),
                http = ports[0],
                https = ports[1],
            );
            self.command("apache2", &["-D", "FOREGROUND", "-f", &write(folder, "config", config)])
        })
    }

    /// Starts nginx, as root: the owner of the UNIX socket must be the user that connects to it.
    pub(crate) fn start_nginx(&self, folder: &Path) -> Result<Daemon, String> {
        let (scgi, websocket, post) = (self.port(SCGI), self.port(WEBSOCKET), self.port(POST));
        let unix = self.work.join(Server::PostListeners.name()).join("scgi");
        let log = self.web_log(Server::Nginx)?;
        let tls = self.certificates().folder.display().to_string();
        write(folder, "page.html", include_str!("peers/page.html"));
        self.serve(Server::Nginx, 2, |ports| {
            let config = format!(
                "daemon off;
                user root;
                pid {folder}/pid;
                error_log stderr;
                events {{ }}
                http {{
                access_log {log};
                client_body_temp_path {folder}/body;
                proxy_temp_path {folder}/proxy;
                scgi_temp_path {folder}/scgi;
                fastcgi_temp_path {folder}/fastcgi;
                uwsgi_temp_path {folder}/uwsgi;
                types {{ text/html html; }}
                server {{
                listen 127.0.0.1:{http};
                listen 127.0.0.1:{https} ssl;
                ssl_certificate {tls}/good.pem;
                ssl_certificate_key {tls}/good.key;
                root {folder};
                location /tunnel {{
                include /etc/nginx/scgi_params;
                scgi_pass 127.0.0.1:{scgi};
                }}
                location /unix {{
                include /etc/nginx/scgi_params;
                scgi_pass unix:{unix};
                }}
                location /post {{
                proxy_pass http://127.0.0.1:{post}/tunnel;
                }}
                location /login {{
                default_type text/html;
                return 200 \"<html>Please log in</html>\";
                }}
                location /moved {{
                return 302 /ssh;
                }}
                location /stripped {{
                proxy_pass http://127.0.0.1:{websocket}/tunnel;
                }}
                location /ssh {{
                proxy_pass http://127.0.0.1:{websocket}/tunnel;
                proxy_http_version 1.1;
                proxy_set_header Upgrade $http_upgrade;
                proxy_set_header Connection upgrade;
                }}
                }}
                }}\n",
                folder = folder.display(),
                unix = unix.display(),
                http = ports[0],
                https = ports[1],
            );
            self.command("nginx", &["-e", "stderr", "-c", &write(folder, "config", config)])
        })
    }

    pub(crate) fn start_haproxy(&self, folder: &Path) -> Result<Daemon, String> {
        let (websocket, post) = (self.port(WEBSOCKET), self.port(POST));
        self.serve(Server::Haproxy, 1, |ports| {
            let config = format!(
                "global
                    log stderr format raw local0
                defaults
                    mode http
                    log global
                    option httplog
                    timeout http-request 10s
                    timeout connect 10s
                    timeout client 60s
                    timeout server 60s
                    timeout tunnel 90s
                frontend web
                    bind 127.0.0.1:{}
                    use_backend websocket if {{ hdr(Upgrade) -i websocket }}
                    default_backend post
                backend websocket
                    server connect 127.0.0.1:{websocket}
                backend post
                    server connect 127.0.0.1:{post}\n",
                ports[0],
            );
            self.command("haproxy", &["-db", "-f", &write(folder, "config", config)])
        })
    }

    /// Starts one squid with two ports: a forward proxy, and an accelerator for nginx.
    pub(crate) fn start_squid(&self, folder: &Path) -> Result<Daemon, String> {
        let nginx = self.port(NGINX);
        let log = folder.join("access.log");
        fs::write(&log, "").map_err(|error| format!("{}: {error}", log.display()))?;
        // squid switches to the user `proxy`, which must be able to write here.
        crate::peers::run(self.command("chown", &["-R", "proxy:"]).arg(folder))?;
        self.serve(Server::Squid, 2, |ports| {
            let config = format!(
                "http_port 127.0.0.1:{}
                http_port 127.0.0.1:{} accel defaultsite=127.0.0.1:{nginx} no-vhost
                cache_peer 127.0.0.1 parent {nginx} 0 no-query originserver name=nginx
                acl to_nginx port {nginx}
                cache_peer_access nginx allow to_nginx
                http_access allow all
                visible_hostname squid.test
                access_log stdio:{}
                cache_log stdio:/dev/stderr
                pid_filename none
                coredump_dir {}
                cache deny all
                cache_mem 8 MB
                max_filedescriptors 1024
                pinger_enable off
                netdb_filename none
                shutdown_lifetime 0 seconds\n",
                ports[0],
                ports[1],
                log.display(),
                folder.display(),
            );
            // -N: one process, in the foreground. -C: no handlers for fatal signals.
            self.command("squid", &["-N", "-C", "-d", "1", "-f", &write(folder, "config", config)])
        })
    }

    pub(crate) fn start_stunnel(&self, folder: &Path) -> Result<Daemon, String> {
        let tls = self.certificates().folder.display().to_string();
        let targets = [LIGHTTPD, WEBSOCKIFY].map(|server| self.port(server));
        self.serve(Server::Stunnel, targets.len(), |ports| {
            let mut config = String::from("foreground = yes\npid =\nsyslog = no\ndebug = 5\n");
            config.extend(ports.iter().zip(targets).map(|(port, to)| {
                format!(
                    "[{port}]\naccept = 127.0.0.1:{port}\nconnect = 127.0.0.1:{to}\n\
                    cert = {tls}/good.pem\nkey = {tls}/good.key\n"
                )
            }));
            self.command("stunnel4", &[&write(folder, "config", config)])
        })
    }

    /// Creates the access log of a web server that may switch users, and returns its path.
    fn web_log(&self, server: Server) -> Result<String, String> {
        let log = self.log(server);
        fs::write(&log, "").map_err(|error| format!("{}: {error}", log.display()))?;
        crate::peers::run(self.command("chown", &[WEB_USER]).arg(&log))?;
        Ok(log.display().to_string())
    }
}
