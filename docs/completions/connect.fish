complete -c connect -s S -d 'Through this SOCKS proxy; port 1080 if not given' -r
complete -c connect -s H -d 'Through this HTTP proxy; port 80 if not given' -r
complete -c connect -s T -d 'Through this telnet-style proxy; port 23 if not given' -r
complete -c connect -s x -l proxy -d 'Through these proxies, one behind another: socks5://a,http://b; or else: |direct' -r
complete -c connect -s c -d 'What to send to a telnet-style proxy; \'telnet %h %p\' if not given' -r
complete -c connect -l user-agent -d 'Add a User-Agent; none is sent otherwise' -r
complete -c connect -l password-fd -d 'The password is the first line that comes from this open descriptor, 3 or more' -r
complete -c connect -l tls-pin -d 'Trust no other key than this one, or these (repeatable, or with \';\')' -r
complete -c connect -s p -d 'Take one client on this local port; loopback if no ADDR is given' -r
complete -c connect -s P -d 'Take one client after another, who share one session with the target' -r
complete -c connect -l listen -d 'Give every client a session of its own, until stopped; repeatable' -r
complete -c connect -s w -d 'Give up if the target is not reached in this time; 0 for no limit' -r
complete -c connect -l idle-timeout -d 'End a session in which nothing has moved for so long; 0 for no limit (the default)' -r
complete -c connect -s R -d 'Who resolves the target\'s name: this machine, the proxy, whoever can, this server' -r -f -a "local\t''
remote\t''
both\t''"
complete -c connect -s a -d 'What may be used to authenticate: none, userpass (SOCKS5); basic, digest (HTTP)' -r -f -a "none\t''
userpass\t''
basic\t''
digest\t''"
complete -c connect -l header -d 'Add this header, or those in a file, to requests to HTTP proxies; repeatable' -r -F
complete -c connect -l password-file -d 'The password is the first line of this file' -r -F
complete -c connect -l password-command -d 'The password is the first line that this prints; %h %p %u are the proxy and the user' -r -f -a "(__fish_complete_command)"
complete -c connect -l netrc-file -d 'The same in this file' -r -F
complete -c connect -l tls-ca -d 'Trust the authorities in this PEM file, in the place of the system\'s' -r -F
complete -c connect -l tls-cert -d 'Show the proxy this certificate of ours (PEM)' -r -F
complete -c connect -l tls-key -d 'The key of that certificate, if it is not in the same file' -r -F
complete -c connect -l tls-server-name -d 'The name to ask for, and that the certificate must have' -r -f -a "(__fish_print_hostnames)"
complete -c connect -l proxy-protocol -d 'Tell the target first whom the session is for: a PROXY protocol header' -r -f -a "v1\t''
v2\t''"
complete -c connect -l check -d 'Say what the plan is and where it comes from, and try it, each step with its time' -r -f -a "json\t''"
complete -c connect -l generate -d 'Print a manual page (man, connectrc) or a shell\'s completions (bash, zsh, fish, powershell)' -r -f -a "man\t''
connectrc\t''
bash\t''
zsh\t''
fish\t''
powershell\t''"
complete -c connect -l help -d 'Print this help; --help=all: and all there is to say' -r -f -a "all\t''"
complete -c connect -s n -d 'Directly, through no proxy (the default)'
complete -c connect -s s -d 'Through the SOCKS proxy in SOCKS5_SERVER, SOCKS4_SERVER, SOCKS_SERVER or ALL_PROXY'
complete -c connect -s h -d 'Through the HTTP proxy in HTTP_PROXY, https_proxy or ALL_PROXY'
complete -c connect -s t -d 'Through the telnet-style proxy in TELNET_PROXY'
complete -c connect -s A -l auto -d 'Through the proxies in CONNECT_PROXY, else all_proxy, https_proxy or http_proxy'
complete -c connect -s D -d 'Reach targets in this machine\'s own networks directly'
complete -c connect -s 4 -d 'Speak SOCKS version 4 (4a where a name is sent)'
complete -c connect -s 5 -d 'Speak SOCKS version 5 (the default)'
complete -c connect -l eager -d 'Do not wait for answers that are known: a round trip less for each SOCKS5 proxy'
complete -c connect -l http1.0 -d 'Speak HTTP/1.0'
complete -c connect -l netrc -d 'Look for user and password in ~/.netrc, or in the file NETRC'
complete -c connect -l insecure -d 'Trust any certificate; only the pins are checked, if there are any'
complete -c connect -s F -l fdpass -d 'Hand the connection to ssh and leave: for ssh with ProxyUseFdpass yes'
complete -c connect -l no-shutdown -d 'Do not pass on the end of standard input'
complete -c connect -s d -d 'Say on standard error what is done; -dd: and what is relayed'
complete -c connect -s q -l quiet -d 'Say nothing but errors: no warnings, and nothing of what is waited for'
complete -c connect -s V -l version -d 'Print the version'
