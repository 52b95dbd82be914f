
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
            [CompletionResult]::new('-S', '-S ', [CompletionResultType]::ParameterName, 'Through this SOCKS proxy; port 1080 if not given')
            [CompletionResult]::new('-H', '-H ', [CompletionResultType]::ParameterName, 'Through this HTTP proxy; port 80 if not given')
            [CompletionResult]::new('-T', '-T ', [CompletionResultType]::ParameterName, 'Through this telnet-style proxy; port 23 if not given')
            [CompletionResult]::new('-x', '-x', [CompletionResultType]::ParameterName, 'Through these proxies, one behind another: socks5://a,http://b; or else: |direct')
            [CompletionResult]::new('--proxy', '--proxy', [CompletionResultType]::ParameterName, 'Through these proxies, one behind another: socks5://a,http://b; or else: |direct')
            [CompletionResult]::new('-c', '-c', [CompletionResultType]::ParameterName, 'What to send to a telnet-style proxy; ''telnet %h %p'' if not given')
            [CompletionResult]::new('--user-agent', '--user-agent', [CompletionResultType]::ParameterName, 'Add a User-Agent; none is sent otherwise')
            [CompletionResult]::new('--password-fd', '--password-fd', [CompletionResultType]::ParameterName, 'The password is the first line that comes from this open descriptor, 3 or more')
            [CompletionResult]::new('--tls-pin', '--tls-pin', [CompletionResultType]::ParameterName, 'Trust no other key than this one, or these (repeatable, or with '';'')')
            [CompletionResult]::new('-p', '-p', [CompletionResultType]::ParameterName, 'Take one client on this local port; loopback if no ADDR is given')
            [CompletionResult]::new('-P', '-P ', [CompletionResultType]::ParameterName, 'Take one client after another, who share one session with the target')
            [CompletionResult]::new('--listen', '--listen', [CompletionResultType]::ParameterName, 'Give every client a session of its own, until stopped; repeatable')
            [CompletionResult]::new('-w', '-w', [CompletionResultType]::ParameterName, 'Give up if the target is not reached in this time; 0 for no limit')
            [CompletionResult]::new('--idle-timeout', '--idle-timeout', [CompletionResultType]::ParameterName, 'End a session in which nothing has moved for so long; 0 for no limit (the default)')
            [CompletionResult]::new('-R', '-R ', [CompletionResultType]::ParameterName, 'Who resolves the target''s name: this machine, the proxy, whoever can, this server')
            [CompletionResult]::new('-a', '-a', [CompletionResultType]::ParameterName, 'What may be used to authenticate: none, userpass (SOCKS5); basic, digest (HTTP)')
            [CompletionResult]::new('--header', '--header', [CompletionResultType]::ParameterName, 'Add this header, or those in a file, to requests to HTTP proxies; repeatable')
            [CompletionResult]::new('--password-file', '--password-file', [CompletionResultType]::ParameterName, 'The password is the first line of this file')
            [CompletionResult]::new('--password-command', '--password-command', [CompletionResultType]::ParameterName, 'The password is the first line that this prints; %h %p %u are the proxy and the user')
            [CompletionResult]::new('--netrc-file', '--netrc-file', [CompletionResultType]::ParameterName, 'The same in this file')
            [CompletionResult]::new('--tls-ca', '--tls-ca', [CompletionResultType]::ParameterName, 'Trust the authorities in this PEM file, in the place of the system''s')
            [CompletionResult]::new('--tls-cert', '--tls-cert', [CompletionResultType]::ParameterName, 'Show the proxy this certificate of ours (PEM)')
            [CompletionResult]::new('--tls-key', '--tls-key', [CompletionResultType]::ParameterName, 'The key of that certificate, if it is not in the same file')
            [CompletionResult]::new('--tls-server-name', '--tls-server-name', [CompletionResultType]::ParameterName, 'The name to ask for, and that the certificate must have')
            [CompletionResult]::new('--proxy-protocol', '--proxy-protocol', [CompletionResultType]::ParameterName, 'Tell the target first whom the session is for: a PROXY protocol header')
            [CompletionResult]::new('--check', '--check', [CompletionResultType]::ParameterName, 'Say what the plan is and where it comes from, and try it, each step with its time')
            [CompletionResult]::new('--generate', '--generate', [CompletionResultType]::ParameterName, 'Print a manual page (man, connectrc) or a shell''s completions (bash, zsh, fish, powershell)')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print this help; --help=all: and all there is to say')
            [CompletionResult]::new('-n', '-n', [CompletionResultType]::ParameterName, 'Directly, through no proxy (the default)')
            [CompletionResult]::new('-s', '-s', [CompletionResultType]::ParameterName, 'Through the SOCKS proxy in SOCKS5_SERVER, SOCKS4_SERVER, SOCKS_SERVER or ALL_PROXY')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Through the HTTP proxy in HTTP_PROXY, https_proxy or ALL_PROXY')
            [CompletionResult]::new('-t', '-t', [CompletionResultType]::ParameterName, 'Through the telnet-style proxy in TELNET_PROXY')
            [CompletionResult]::new('-A', '-A ', [CompletionResultType]::ParameterName, 'Through the proxies in CONNECT_PROXY, else all_proxy, https_proxy or http_proxy')
            [CompletionResult]::new('--auto', '--auto', [CompletionResultType]::ParameterName, 'Through the proxies in CONNECT_PROXY, else all_proxy, https_proxy or http_proxy')
            [CompletionResult]::new('-D', '-D ', [CompletionResultType]::ParameterName, 'Reach targets in this machine''s own networks directly')
            [CompletionResult]::new('-4', '-4', [CompletionResultType]::ParameterName, 'Speak SOCKS version 4 (4a where a name is sent)')
            [CompletionResult]::new('-5', '-5', [CompletionResultType]::ParameterName, 'Speak SOCKS version 5 (the default)')
            [CompletionResult]::new('--eager', '--eager', [CompletionResultType]::ParameterName, 'Do not wait for answers that are known: a round trip less for each SOCKS5 proxy')
            [CompletionResult]::new('--http1.0', '--http1.0', [CompletionResultType]::ParameterName, 'Speak HTTP/1.0')
            [CompletionResult]::new('--netrc', '--netrc', [CompletionResultType]::ParameterName, 'Look for user and password in ~/.netrc, or in the file NETRC')
            [CompletionResult]::new('--insecure', '--insecure', [CompletionResultType]::ParameterName, 'Trust any certificate; only the pins are checked, if there are any')
            [CompletionResult]::new('-F', '-F ', [CompletionResultType]::ParameterName, 'Hand the connection to ssh and leave: for ssh with ProxyUseFdpass yes')
            [CompletionResult]::new('--fdpass', '--fdpass', [CompletionResultType]::ParameterName, 'Hand the connection to ssh and leave: for ssh with ProxyUseFdpass yes')
            [CompletionResult]::new('--no-shutdown', '--no-shutdown', [CompletionResultType]::ParameterName, 'Do not pass on the end of standard input')
            [CompletionResult]::new('-d', '-d', [CompletionResultType]::ParameterName, 'Say on standard error what is done; -dd: and what is relayed')
            [CompletionResult]::new('-q', '-q', [CompletionResultType]::ParameterName, 'Say nothing but errors: no warnings, and nothing of what is waited for')
            [CompletionResult]::new('--quiet', '--quiet', [CompletionResultType]::ParameterName, 'Say nothing but errors: no warnings, and nothing of what is waited for')
            [CompletionResult]::new('-V', '-V ', [CompletionResultType]::ParameterName, 'Print the version')
            [CompletionResult]::new('--version', '--version', [CompletionResultType]::ParameterName, 'Print the version')
            break
        }
    })

    $completions.Where{ $_.CompletionText -like "$wordToComplete*" } |
        Sort-Object -Property ListItemText
}
