complete -c connect -s S -d 'Use this SOCKS proxy (default port 1080)' -r
complete -c connect -s H -d 'Use this HTTP proxy (default port 80)' -r
complete -c connect -s T -d 'Use this telnet-style proxy (default port 23)' -r
complete -c connect -s x -l proxy -d 'Use a chain of proxies, with fallbacks: \'socks5://a,http://b|direct\'' -r
complete -c connect -s c -d 'Send this to a telnet-style proxy (default \'telnet %h %p\')' -r
complete -c connect -l user-agent -d 'Send this User-Agent (default: none)' -r
complete -c connect -l password-fd -d 'Read the password from this inherited file descriptor' -r
complete -c connect -l tls-pin -d 'Require this public key; repeatable, or separated by \';\'' -r
complete -c connect -l ssh-pin -d 'Accept only this host key' -r
complete -c connect -l ssh-ciphers -d 'Offer only these ciphers to ssh:// servers, in this order' -r
complete -c connect -l ssh -d 'Run COMMAND, or a shell, at this SSH server' -r
complete -c connect -l env -d 'With --ssh: set a variable of COMMAND; repeatable' -r
complete -c connect -l subsystem -d 'With --ssh: start this subsystem instead of COMMAND' -r
complete -c connect -l local-forward -d 'With --ssh: forward local connections to TO; repeatable' -r
complete -c connect -l remote-forward -d 'With --ssh: forward connections from the server to TO; repeatable' -r
complete -c connect -s p -d 'Serve one client on this local port (default ADDR: loopback)' -r
complete -c connect -s P -d 'Serve clients in turn, in one session with the target' -r
complete -c connect -l listen -d 'Serve each client in its own session until stopped; repeatable' -r
complete -c connect -l relay -d 'Run a hub, at which origins and their clients meet; repeatable' -r
complete -c connect -l origin -d 'Offer HOST PORT at this hub, as this session' -r
complete -c connect -l max-at-once -d 'Accept at most N clients at a time (--origin)' -r
complete -c connect -l max-total -d 'Accept at most N clients in all (--origin)' -r
complete -c connect -l spare -d 'Open N connections to the target in advance (--origin)' -r
complete -c connect -l drain -d 'Let a hub exit this long after SIGTERM (default 30)' -r
complete -c connect -l allow-from -d 'Serve only clients from this network; repeatable' -r
complete -c connect -l relay-name -d 'Accept tokens for this audience' -r
complete -c connect -l allow-origin -d 'Accept browsers on pages of this origin; repeatable' -r
complete -c connect -l trust-forwarded -d 'Believe X-Forwarded-For from this network; repeatable' -r
complete -c connect -l max-wait -d 'Hold a poll of a POST tunnel for at most this time (default 25)' -r
complete -c connect -l token-fd -d 'Read the token from this inherited file descriptor' -r
complete -c connect -l key-fd -d 'Read that key from this inherited file descriptor' -r
complete -c connect -l mint-token -d 'Print a token with these claims, signed by --signing-key' -r
complete -c connect -s w -d 'Limit the time to reach the target (0: no limit)' -r
complete -c connect -l idle-timeout -d 'Close a session without traffic for this long (default 0: never)' -r
complete -c connect -l bind -d 'Connect from this local address or network interface' -r
complete -c connect -l tcp-keepalive -d 'Probe a silent peer after this time (default 60, 0: never)' -r
complete -c connect -l keepalive -d 'Probe a silent WebSocket or SSH peer after this time (0: never)' -r
complete -c connect -l resume -d 'Survive lost connections to a hub or a POST server (default 60)' -r
complete -c connect -l window -d 'Limit the bytes on their way through a hub (default 1048576)' -r
complete -c connect -s R -d 'Resolve the target here, at the proxy, or by this DNS server' -r -f -a "local\t''
remote\t''
both\t''"
complete -c connect -l header -d 'Add a header, or all headers in a file; repeatable' -r -F
complete -c connect -s a -d 'Allow only none, userpass (SOCKS5), basic, digest (HTTP)' -r -f -a "none\t''
userpass\t''
basic\t''
digest\t''"
complete -c connect -l password-file -d 'Read the password from the first line of this file' -r -F
complete -c connect -l password-command -d 'Run this to get the password (%h %p %u: proxy host, port, user)' -r -f -a "(__fish_complete_command)"
complete -c connect -l netrc-file -d 'Look up user and password in this netrc file' -r -F
complete -c connect -l tls-ca -d 'Trust the certificate authorities in this PEM file instead' -r -F
complete -c connect -l tls-cert -d 'Present this client certificate (PEM)' -r -F
complete -c connect -l tls-key -d 'Use this key for the client certificate (default: the same file)' -r -F
complete -c connect -l tls-server-name -d 'Expect this name in the certificate, and send it as SNI' -r -f -a "(__fish_print_hostnames)"
complete -c connect -s i -l ssh-identity -d 'Log in at ssh:// servers with this private key; repeatable' -r -F
complete -c connect -l ssh-cert -d 'Use this certificate for the key of the -i before it' -r -F
complete -c connect -l ssh-known-hosts -d 'Read the host keys of ssh:// servers from this file; repeatable' -r -F
complete -c connect -l ssh-strict -d 'Decide about unknown host keys (default ask)' -r -f -a "yes\t''
ask\t''
accept-new\t''
no\t''"
complete -c connect -l ssh-agent -d 'Use the SSH agent at this socket (default: $SSH_AUTH_SOCK)' -r -F
complete -c connect -l tty -d 'With --ssh: run COMMAND in a terminal (default auto)' -r -f -a "auto\t''
yes\t''
no\t''"
complete -c connect -l copy-by -d 'With --put and --get: use this protocol' -r -f -a "sftp\t''
scp\t''"
complete -c connect -l allow-to -d 'Let clients connect to this target only; repeatable' -r -f -a "(__fish_print_hostnames)"
complete -c connect -l listen-password-file -d 'Require one of the logins in this file (user:password lines)' -r -F
complete -c connect -l serve-cert -d 'Present this certificate (PEM) to clients that use TLS' -r -F
complete -c connect -l serve-key -d 'Use this key for --serve-cert (default: the same file)' -r -F
complete -c connect -l serve-client-ca -d 'Require client certificates by the authorities in this PEM file' -r -F
complete -c connect -l token-keys -d 'Require a token signed by a key in this file' -r -F
complete -c connect -l deny-file -d 'Refuse the tokens, subjects and sessions in this file' -r -F
complete -c connect -l token-file -d 'Send the token in the first line of this file' -r -F
complete -c connect -l key-file -d 'Encrypt from end to end with the key in this file' -r -F
complete -c connect -l mint-signing-key -d 'Create a key that signs tokens, and print its public key' -r -F
complete -c connect -l signing-key -d 'Use this private key for --mint-token' -r -F
complete -c connect -l proxy-protocol -d 'Send a PROXY protocol header to the target first' -r -f -a "v1\t''
v2\t''"
complete -c connect -l check -d 'Show plan and settings, then test the connection step by step' -r -f -a "json\t''"
complete -c connect -l generate -d 'Print man, connectrc (man page), bash, zsh, fish or powershell' -r -f -a "man\t''
connectrc\t''
bash\t''
zsh\t''
fish\t''
powershell\t''"
complete -c connect -l help -d 'Print this help; --help=all describes each option in full' -r -f -a "all\t''"
complete -c connect -s n -d 'Connect directly, without a proxy (the default)'
complete -c connect -s s -d 'Use the SOCKS proxy in SOCKS5_SERVER, SOCKS_SERVER or ALL_PROXY'
complete -c connect -s h -d 'Use the HTTP proxy in HTTP_PROXY, https_proxy or ALL_PROXY'
complete -c connect -s t -d 'Use the telnet-style proxy in TELNET_PROXY'
complete -c connect -s A -l auto -d 'Use CONNECT_PROXY, all_proxy, https_proxy or http_proxy, else none'
complete -c connect -s D -d 'Bypass the proxy for targets in this machine\'s own networks'
complete -c connect -s 4 -d 'Use SOCKS version 4 (4a to send a name)'
complete -c connect -s 5 -d 'Use SOCKS version 5 (the default)'
complete -c connect -l eager -d 'Pipeline the SOCKS5 handshake to save a round trip per proxy'
complete -c connect -l http1.0 -d 'Use HTTP/1.0'
complete -c connect -l netrc -d 'Look up user and password in ~/.netrc or the file in NETRC'
complete -c connect -l tls-target -d 'Use TLS with the target; the options below are then for it'
complete -c connect -l insecure -d 'Accept any certificate; only check --tls-pin'
complete -c connect -l ssh-compress -d 'Compress the traffic with ssh:// servers'
complete -c connect -l ssh-config -d 'Take settings for ssh:// servers from ssh -G'
complete -c connect -l put -d 'With --ssh: copy files to the server (FILE... DEST)'
complete -c connect -l get -d 'With --ssh: copy files from the server (FILE... DEST)'
complete -c connect -l recursive -d 'With --put and --get: copy directories'
complete -c connect -l preserve -d 'With --put and --get: keep times and modes'
complete -c connect -s F -l fdpass -d 'Pass the connection to ssh and exit, for ProxyUseFdpass'
complete -c connect -l plain -d 'Offer a UNIX-domain socket without end-to-end encryption'
complete -c connect -l background -d 'Continue in the background once registered (--origin)'
complete -c connect -l open -d 'Serve clients without a token'
complete -c connect -l mint-key -d 'Print a random key of 32 bytes in base64'
complete -c connect -l ipv4 -d 'Look up and connect to IPv4 addresses only'
complete -c connect -l ipv6 -d 'Look up and connect to IPv6 addresses only'
complete -c connect -l no-shutdown -d 'Do not half-close when standard input ends'
complete -c connect -s d -d 'Log to standard error; -dd also dumps relayed data'
complete -c connect -s q -l quiet -d 'Print errors only: no warnings, no status line'
complete -c connect -s V -l version -d 'Print the version'
