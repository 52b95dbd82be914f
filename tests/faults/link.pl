# A bad link: carries the packets of two tun devices from one to the other, and does to them what it is told on standard
# input, one line for all: loss, twice, late, spoilt in percent; delay and jitter in milliseconds; most, the largest
# packet in bytes. What is not named is off, and "loss 100" is a link that is dead. The kernel's netem, which could do the
# same, is not everywhere. Chance is seeded, so that it is much the same each time.
use strict;
use warnings;
use Time::HiRes qw(time);

my ($TUNSETIFF, $IFF_TUN, $IFF_NO_PI) = (0x400454ca, 0x0001, 0x1000);
my @devices = map {
    open my $device, '+<', '/dev/net/tun' or die "/dev/net/tun: $!\n";
    ioctl $device, $TUNSETIFF, pack 'a16 S x22', $_, $IFF_TUN | $IFF_NO_PI or die "$_: $!\n";
    $device;
} @ARGV;
$| = 1;
print "ready\n";

srand 1;
my (%how, @waiting);
sub chance { return rand 100 < ($how{$_[0]} // 0) }

for (;;) {
    my $wait = @waiting ? $waiting[0][0] - time : undef;
    $wait = 0 if defined $wait && $wait < 0;
    my $r = '';
    vec($r, fileno $_, 1) = 1 for @devices, *STDIN;
    select $r, undef, undef, $wait;
    if (vec $r, fileno STDIN, 1) {
        sysread STDIN, my $line, 1000 or exit 0;
        %how = split ' ', (split /\n/, $line)[-1];
    }
    for my $from (0, 1) {
        next if !vec $r, fileno $devices[$from], 1;
        sysread $devices[$from], my $packet, 65536 or next;
        next if chance('loss') || $how{most} && length $packet > $how{most};
        # Behind the headers.
        substr($packet, 60 + rand(length($packet) - 60), 1) ^= "\x10" if length $packet > 60 && chance('spoilt');
        my $due = time + (($how{delay} // 0) + rand($how{jitter} // 0) + (chance('late') ? 30 : 0)) / 1000;
        push @waiting, [$due, 1 - $from, $packet] for 0 .. chance('twice');
        @waiting = sort { $a->[0] <=> $b->[0] } @waiting if $how{delay} || $how{jitter} || $how{late};
    }
    while (@waiting && $waiting[0][0] <= time) {
        my (undef, $to, $packet) = @{ shift @waiting };
        syswrite $devices[$to], $packet;
    }
}
