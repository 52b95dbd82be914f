# Prints the licenses of the crates that are linked into the program, each text once. Reads `cargo
# metadata` from stdin.
use strict;
use warnings;
use JSON::PP;

my $metadata = decode_json(do { local $/; <STDIN> });
my %package = map { $_->{id} => $_ } @{ $metadata->{packages} };
my %node = map { $_->{id} => $_ } @{ $metadata->{resolve}{nodes} };

# Dependencies of tests and build scripts are not in the program. Those of macros are listed,
# because macros leave code there.
my $root = $metadata->{resolve}{root};
my (%seen, @next) = ();
@next = ($root);
while (defined(my $id = pop @next)) {
    next if $seen{$id}++;
    for my $dependency (@{ $node{$id}{deps} }) {
        push @next, $dependency->{pkg} if grep { !defined $_->{kind} } @{ $dependency->{dep_kinds} };
    }
}
delete $seen{$root};

my %crates_of;
print "The program contains code from Rust's standard library (MIT OR Apache-2.0) and from these crates:\n\n";
for my $crate (sort { "$a->{name} $a->{version}" cmp "$b->{name} $b->{version}" } map { $package{$_} } keys %seen) {
    my $name = "$crate->{name} $crate->{version}";
    (my $folder = $crate->{manifest_path}) =~ s{[^/\\]*$}{};
    my @files = grep { -f } map { glob "\Q$folder\E$_*" } qw(LICENSE LICENCE COPYING COPYRIGHT NOTICE UNLICENSE);
    die "$name: no license field and no license file\n" unless @files or $crate->{license};
    print join("\n    ", "$name: " . ($crate->{license} // 'see below'), @{ $crate->{authors} }), "\n";
    for my $file (@files) {
        open my $handle, '<', $file or die "$file: $!\n";
        push @{ $crates_of{ do { local $/; <$handle> } } }, $name;
    }
}
for my $text (sort { $crates_of{$a}[0] cmp $crates_of{$b}[0] or $a cmp $b } keys %crates_of) {
    printf "\n%s\n%s\n\n%s", '=' x 78, join("\n", @{ $crates_of{$text} }), $text;
}
