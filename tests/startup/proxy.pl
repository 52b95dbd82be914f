# A SOCKS5 proxy that says its port, grants every request, and greets as the target at once. It sends the answer and the
# greeting apart, as a proxy does to which the greeting comes from elsewhere. It ends with its standard input.
use strict;
use warnings;
use IO::Select;
use IO::Socket::INET;
use Socket qw(IPPROTO_TCP TCP_NODELAY);

$SIG{PIPE} = 'IGNORE';
my $listener = IO::Socket::INET->new(Listen => 8, LocalAddr => '127.0.0.1') or die "no port: $@";
$| = 1;
print $listener->sockport, "\n";

sub take {
    my ($client, $count) = @_;
    my $bytes = '';
    while (length $bytes < $count) {
        sysread $client, $bytes, $count - length $bytes, length $bytes or die "the client left\n";
    }
    return unpack 'C*', $bytes;
}

sub serve {
    my ($client) = @_;
    $client->setsockopt(IPPROTO_TCP, TCP_NODELAY, 1);
    my (undef, $methods) = take($client, 2);
    take($client, $methods);
    syswrite $client, "\5\0";
    my $type = (take($client, 4))[3];
    # The address is 4 bytes, 16, or as many as its first says; the port follows.
    take($client, 2 + ($type == 1 ? 4 : $type == 4 ? 16 : (take($client, 1))[0]));
    syswrite $client, "\5\0\0\1\0\0\0\0\0\0";
    syswrite $client, "greeting\n";
    # Until the client ends the session.
    1 while sysread $client, my $rest, 4096;
}

my $ready = IO::Select->new($listener, \*STDIN);
while (1) {
    for my $handle ($ready->can_read) {
        exit if $handle == \*STDIN;
        my $client = $listener->accept or next;
        eval { serve($client); 1 } or warn $@;
    }
}
