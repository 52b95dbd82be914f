
using namespace System.Management.Automation
using namespace System.Management.Automation.Language

Register-ArgumentCompleter -Native -CommandName 'connect' -ScriptBlock {
    param($wordToComplete, $commandAst, $cursorPosition)

    $commandElements = $commandAst.CommandElements
    $command = @(
        'connect'
        for ($i = 1; $i -lt $commandElements.Count; $i++) {
            $element = $commandElements[$i]
            if ($element -isnot [StringConstantExpressionAst] -or
                $element.StringConstantType -ne [StringConstantType]::BareWord -or
                $element.Value.StartsWith('-') -or
                $element.Value -eq $wordToComplete) {
                break
        }
        $element.Value
    }) -join ';'

    $completions = @(switch ($command) {
        'connect' {
            [CompletionResult]::new('-S', '-S ', [CompletionResultType]::ParameterName, 'Use this SOCKS proxy (default port 1080)')
            [CompletionResult]::new('-H', '-H ', [CompletionResultType]::ParameterName, 'Use this HTTP proxy (default port 80)')
            [CompletionResult]::new('-T', '-T ', [CompletionResultType]::ParameterName, 'Use this telnet-style proxy (default port 23)')
            [CompletionResult]::new('-x', '-x', [CompletionResultType]::ParameterName, 'Use a chain of proxies, with fallbacks: ''socks5://a,http://b|direct''')
            [CompletionResult]::new('--proxy', '--proxy', [CompletionResultType]::ParameterName, 'Use a chain of proxies, with fallbacks: ''socks5://a,http://b|direct''')
            [CompletionResult]::new('-c', '-c', [CompletionResultType]::ParameterName, 'Send this to a telnet-style proxy (default ''telnet %h %p'')')
            [CompletionResult]::new('--user-agent', '--user-agent', [CompletionResultType]::ParameterName, 'Send this User-Agent (default: none)')
            [CompletionResult]::new('--password-fd', '--password-fd', [CompletionResultType]::ParameterName, 'Read the password from this inherited file descriptor')
            [CompletionResult]::new('--tls-pin', '--tls-pin', [CompletionResultType]::ParameterName, 'Require this public key; repeatable, or separated by '';''')
            [CompletionResult]::new('--ssh-pin', '--ssh-pin', [CompletionResultType]::ParameterName, 'Accept only this host key')
            [CompletionResult]::new('--ssh-ciphers', '--ssh-ciphers', [CompletionResultType]::ParameterName, 'Offer only these ciphers to ssh:// servers, in this order')
            [CompletionResult]::new('--ssh', '--ssh', [CompletionResultType]::ParameterName, 'Run COMMAND, or a shell, at this SSH server')
            [CompletionResult]::new('--env', '--env', [CompletionResultType]::ParameterName, 'With --ssh: set a variable of COMMAND; repeatable')
            [CompletionResult]::new('--subsystem', '--subsystem', [CompletionResultType]::ParameterName, 'With --ssh: start this subsystem instead of COMMAND')
            [CompletionResult]::new('--local-forward', '--local-forward', [CompletionResultType]::ParameterName, 'With --ssh: forward local connections to TO; repeatable')
            [CompletionResult]::new('--remote-forward', '--remote-forward', [CompletionResultType]::ParameterName, 'With --ssh: forward connections from the server to TO; repeatable')
            [CompletionResult]::new('-p', '-p', [CompletionResultType]::ParameterName, 'Serve one client on this local port (default ADDR: loopback)')
            [CompletionResult]::new('-P', '-P ', [CompletionResultType]::ParameterName, 'Serve clients in turn, in one session with the target')
            [CompletionResult]::new('--listen', '--listen', [CompletionResultType]::ParameterName, 'Serve each client in its own session until stopped; repeatable')
            [CompletionResult]::new('--relay', '--relay', [CompletionResultType]::ParameterName, 'Run a hub, at which origins and their clients meet; repeatable')
            [CompletionResult]::new('--origin', '--origin', [CompletionResultType]::ParameterName, 'Offer HOST PORT at this hub, as this session')
            [CompletionResult]::new('--max-at-once', '--max-at-once', [CompletionResultType]::ParameterName, 'Accept at most N clients at a time (--origin)')
            [CompletionResult]::new('--max-total', '--max-total', [CompletionResultType]::ParameterName, 'Accept at most N clients in all (--origin)')
            [CompletionResult]::new('--spare', '--spare', [CompletionResultType]::ParameterName, 'Open N connections to the target in advance (--origin)')
            [CompletionResult]::new('--drain', '--drain', [CompletionResultType]::ParameterName, 'Let a hub exit this long after SIGTERM (default 30)')
            [CompletionResult]::new('--allow-from', '--allow-from', [CompletionResultType]::ParameterName, 'Serve only clients from this network; repeatable')
            [CompletionResult]::new('--relay-name', '--relay-name', [CompletionResultType]::ParameterName, 'Accept tokens for this audience')
            [CompletionResult]::new('--allow-origin', '--allow-origin', [CompletionResultType]::ParameterName, 'Accept browsers on pages of this origin; repeatable')
            [CompletionResult]::new('--trust-forwarded', '--trust-forwarded', [CompletionResultType]::ParameterName, 'Believe X-Forwarded-For from this network; repeatable')
            [CompletionResult]::new('--max-wait', '--max-wait', [CompletionResultType]::ParameterName, 'Hold a poll of a POST tunnel for at most this time (default 25)')
            [CompletionResult]::new('--token-fd', '--token-fd', [CompletionResultType]::ParameterName, 'Read the token from this inherited file descriptor')
            [CompletionResult]::new('--key-fd', '--key-fd', [CompletionResultType]::ParameterName, 'Read that key from this inherited file descriptor')
            [CompletionResult]::new('--mint-token', '--mint-token', [CompletionResultType]::ParameterName, 'Print a token with these claims, signed by --signing-key')
            [CompletionResult]::new('-w', '-w', [CompletionResultType]::ParameterName, 'Limit the time to reach the target (0: no limit)')
            [CompletionResult]::new('--idle-timeout', '--idle-timeout', [CompletionResultType]::ParameterName, 'Close a session without traffic for this long (default 0: never)')
            [CompletionResult]::new('--bind', '--bind', [CompletionResultType]::ParameterName, 'Connect from this local address or network interface')
            [CompletionResult]::new('--tcp-keepalive', '--tcp-keepalive', [CompletionResultType]::ParameterName, 'Probe a silent peer after this time (default 60, 0: never)')
            [CompletionResult]::new('--keepalive', '--keepalive', [CompletionResultType]::ParameterName, 'Probe a silent WebSocket or SSH peer after this time (0: never)')
            [CompletionResult]::new('--resume', '--resume', [CompletionResultType]::ParameterName, 'Survive lost connections to a hub or a POST server (default 60)')
            [CompletionResult]::new('--window', '--window', [CompletionResultType]::ParameterName, 'Limit the bytes on their way through a hub (default 1048576)')
            [CompletionResult]::new('-R', '-R ', [CompletionResultType]::ParameterName, 'Resolve the target here, at the proxy, or by this DNS server')
            [CompletionResult]::new('--header', '--header', [CompletionResultType]::ParameterName, 'Add a header, or all headers in a file; repeatable')
            [CompletionResult]::new('-a', '-a', [CompletionResultType]::ParameterName, 'Allow only none, userpass (SOCKS5), basic, digest (HTTP)')
            [CompletionResult]::new('--password-file', '--password-file', [CompletionResultType]::ParameterName, 'Read the password from the first line of this file')
            [CompletionResult]::new('--password-command', '--password-command', [CompletionResultType]::ParameterName, 'Run this to get the password (%h %p %u: proxy host, port, user)')
            [CompletionResult]::new('--netrc-file', '--netrc-file', [CompletionResultType]::ParameterName, 'Look up user and password in this netrc file')
            [CompletionResult]::new('--tls-ca', '--tls-ca', [CompletionResultType]::ParameterName, 'Trust the certificate authorities in this PEM file instead')
            [CompletionResult]::new('--tls-cert', '--tls-cert', [CompletionResultType]::ParameterName, 'Present this client certificate (PEM)')
            [CompletionResult]::new('--tls-key', '--tls-key', [CompletionResultType]::ParameterName, 'Use this key for the client certificate (default: the same file)')
            [CompletionResult]::new('--tls-server-name', '--tls-server-name', [CompletionResultType]::ParameterName, 'Expect this name in the certificate, and send it as SNI')
            [CompletionResult]::new('-i', '-i', [CompletionResultType]::ParameterName, 'Log in at ssh:// servers with this private key; repeatable')
            [CompletionResult]::new('--ssh-identity', '--ssh-identity', [CompletionResultType]::ParameterName, 'Log in at ssh:// servers with this private key; repeatable')
            [CompletionResult]::new('--ssh-cert', '--ssh-cert', [CompletionResultType]::ParameterName, 'Use this certificate for the key of the -i before it')
            [CompletionResult]::new('--ssh-known-hosts', '--ssh-known-hosts', [CompletionResultType]::ParameterName, 'Read the host keys of ssh:// servers from this file; repeatable')
            [CompletionResult]::new('--ssh-strict', '--ssh-strict', [CompletionResultType]::ParameterName, 'Decide about unknown host keys (default ask)')
            [CompletionResult]::new('--ssh-agent', '--ssh-agent', [CompletionResultType]::ParameterName, 'Use the SSH agent at this socket (default: $SSH_AUTH_SOCK)')
            [CompletionResult]::new('--tty', '--tty', [CompletionResultType]::ParameterName, 'With --ssh: run COMMAND in a terminal (default auto)')
            [CompletionResult]::new('--copy-by', '--copy-by', [CompletionResultType]::ParameterName, 'With --put and --get: use this protocol')
            [CompletionResult]::new('--allow-to', '--allow-to', [CompletionResultType]::ParameterName, 'Let clients connect to this target only; repeatable')
            [CompletionResult]::new('--listen-password-file', '--listen-password-file', [CompletionResultType]::ParameterName, 'Require one of the logins in this file (user:password lines)')
            [CompletionResult]::new('--serve-cert', '--serve-cert', [CompletionResultType]::ParameterName, 'Present this certificate (PEM) to clients that use TLS')
            [CompletionResult]::new('--serve-key', '--serve-key', [CompletionResultType]::ParameterName, 'Use this key for --serve-cert (default: the same file)')
            [CompletionResult]::new('--serve-client-ca', '--serve-client-ca', [CompletionResultType]::ParameterName, 'Require client certificates by the authorities in this PEM file')
            [CompletionResult]::new('--token-keys', '--token-keys', [CompletionResultType]::ParameterName, 'Require a token signed by a key in this file')
            [CompletionResult]::new('--deny-file', '--deny-file', [CompletionResultType]::ParameterName, 'Refuse the tokens, subjects and sessions in this file')
            [CompletionResult]::new('--token-file', '--token-file', [CompletionResultType]::ParameterName, 'Send the token in the first line of this file')
            [CompletionResult]::new('--key-file', '--key-file', [CompletionResultType]::ParameterName, 'Encrypt from end to end with the key in this file')
            [CompletionResult]::new('--mint-signing-key', '--mint-signing-key', [CompletionResultType]::ParameterName, 'Create a key that signs tokens, and print its public key')
            [CompletionResult]::new('--signing-key', '--signing-key', [CompletionResultType]::ParameterName, 'Use this private key for --mint-token')
            [CompletionResult]::new('--proxy-protocol', '--proxy-protocol', [CompletionResultType]::ParameterName, 'Send a PROXY protocol header to the target first')
            [CompletionResult]::new('--check', '--check', [CompletionResultType]::ParameterName, 'Show plan and settings, then test the connection step by step')
            [CompletionResult]::new('--generate', '--generate', [CompletionResultType]::ParameterName, 'Print man, connectrc (man page), bash, zsh, fish or powershell')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print this help; --help=all describes each option in full')
            [CompletionResult]::new('-n', '-n', [CompletionResultType]::ParameterName, 'Connect directly, without a proxy (the default)')
            [CompletionResult]::new('-s', '-s', [CompletionResultType]::ParameterName, 'Use the SOCKS proxy in SOCKS5_SERVER, SOCKS_SERVER or ALL_PROXY')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Use the HTTP proxy in HTTP_PROXY, https_proxy or ALL_PROXY')
            [CompletionResult]::new('-t', '-t', [CompletionResultType]::ParameterName, 'Use the telnet-style proxy in TELNET_PROXY')
            [CompletionResult]::new('-A', '-A ', [CompletionResultType]::ParameterName, 'Use CONNECT_PROXY, all_proxy, https_proxy or http_proxy, else none')
            [CompletionResult]::new('--auto', '--auto', [CompletionResultType]::ParameterName, 'Use CONNECT_PROXY, all_proxy, https_proxy or http_proxy, else none')
            [CompletionResult]::new('-D', '-D ', [CompletionResultType]::ParameterName, 'Bypass the proxy for targets in this machine''s own networks')
            [CompletionResult]::new('-4', '-4', [CompletionResultType]::ParameterName, 'Use SOCKS version 4 (4a to send a name)')
            [CompletionResult]::new('-5', '-5', [CompletionResultType]::ParameterName, 'Use SOCKS version 5 (the default)')
            [CompletionResult]::new('--eager', '--eager', [CompletionResultType]::ParameterName, 'Pipeline the SOCKS5 handshake to save a round trip per proxy')
            [CompletionResult]::new('--http1.0', '--http1.0', [CompletionResultType]::ParameterName, 'Use HTTP/1.0')
            [CompletionResult]::new('--netrc', '--netrc', [CompletionResultType]::ParameterName, 'Look up user and password in ~/.netrc or the file in NETRC')
            [CompletionResult]::new('--tls-target', '--tls-target', [CompletionResultType]::ParameterName, 'Use TLS with the target; the options below are then for it')
            [CompletionResult]::new('--insecure', '--insecure', [CompletionResultType]::ParameterName, 'Accept any certificate; only check --tls-pin')
            [CompletionResult]::new('--ssh-compress', '--ssh-compress', [CompletionResultType]::ParameterName, 'Compress the traffic with ssh:// servers')
            [CompletionResult]::new('--ssh-config', '--ssh-config', [CompletionResultType]::ParameterName, 'Take settings for ssh:// servers from ssh -G')
            [CompletionResult]::new('--put', '--put', [CompletionResultType]::ParameterName, 'With --ssh: copy files to the server (FILE... DEST)')
            [CompletionResult]::new('--get', '--get', [CompletionResultType]::ParameterName, 'With --ssh: copy files from the server (FILE... DEST)')
            [CompletionResult]::new('--recursive', '--recursive', [CompletionResultType]::ParameterName, 'With --put and --get: copy directories')
            [CompletionResult]::new('--preserve', '--preserve', [CompletionResultType]::ParameterName, 'With --put and --get: keep times and modes')
            [CompletionResult]::new('-F', '-F ', [CompletionResultType]::ParameterName, 'Pass the connection to ssh and exit, for ProxyUseFdpass')
            [CompletionResult]::new('--fdpass', '--fdpass', [CompletionResultType]::ParameterName, 'Pass the connection to ssh and exit, for ProxyUseFdpass')
            [CompletionResult]::new('--plain', '--plain', [CompletionResultType]::ParameterName, 'Offer a UNIX-domain socket without end-to-end encryption')
            [CompletionResult]::new('--background', '--background', [CompletionResultType]::ParameterName, 'Continue in the background once registered (--origin)')
            [CompletionResult]::new('--open', '--open', [CompletionResultType]::ParameterName, 'Serve clients without a token')
            [CompletionResult]::new('--mint-key', '--mint-key', [CompletionResultType]::ParameterName, 'Print a random key of 32 bytes in base64')
            [CompletionResult]::new('--ipv4', '--ipv4', [CompletionResultType]::ParameterName, 'Look up and connect to IPv4 addresses only')
            [CompletionResult]::new('--ipv6', '--ipv6', [CompletionResultType]::ParameterName, 'Look up and connect to IPv6 addresses only')
            [CompletionResult]::new('--no-shutdown', '--no-shutdown', [CompletionResultType]::ParameterName, 'Do not half-close when standard input ends')
            [CompletionResult]::new('-d', '-d', [CompletionResultType]::ParameterName, 'Log to standard error; -dd also dumps relayed data')
            [CompletionResult]::new('-q', '-q', [CompletionResultType]::ParameterName, 'Print errors only: no warnings, no status line')
            [CompletionResult]::new('--quiet', '--quiet', [CompletionResultType]::ParameterName, 'Print errors only: no warnings, no status line')
            [CompletionResult]::new('-V', '-V ', [CompletionResultType]::ParameterName, 'Print the version')
            [CompletionResult]::new('--version', '--version', [CompletionResultType]::ParameterName, 'Print the version')
            break
        }
    })

    $completions.Where{ $_.CompletionText -like "$wordToComplete*" } |
        Sort-Object -Property ListItemText
}
