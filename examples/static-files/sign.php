<?php
// Print a signed URL: php sign.php PATH SECONDS, such as php sign.php "/films/a film.mp4" 3600.
// PATH is the file's path below nginx's root, as it is: nothing in it is decoded.

const HOST = 'https://files.example.com';
const SIGNER_FILE = '/run/renewer/files.json';

/** The URL of the path, which nginx takes for so many seconds. */
function signed(string $path, int $seconds): string
{
    $text = @file_get_contents(SIGNER_FILE);  // at every call: the key is replaced now and then
    if ($text === false) {
        throw new RuntimeException(SIGNER_FILE . ' cannot be read');
    }
    $key = json_decode($text, true, 8, JSON_THROW_ON_ERROR);
    if (!str_starts_with($path, '/') || $seconds < 1 || $seconds > $key['grace']) {
        throw new RuntimeException("the path begins with /, and the seconds are 1 to {$key['grace']}");
    }
    $expires = time() + $seconds;
    $md5 = base64_encode(md5("$expires$path {$key['secret']}", true));
    $signature = rtrim(strtr($md5, '+/', '-_'), '=');
    $encode = fn (array $found): string => rawurlencode($found[0]);
    $encoded = preg_replace_callback("#[^A-Za-z0-9_.~/!$&'()*+,;=:@-]#", $encode, $path);
    return HOST . "$encoded?k={$key['k']}&expires=$expires&md5=$signature";
}

if (PHP_SAPI === 'cli' && realpath($argv[0]) === __FILE__) {
    try {
        echo signed($argv[1] ?? '', (int) filter_var($argv[2] ?? '', FILTER_VALIDATE_INT)), "\n";
    } catch (Exception $error) {
        fwrite(STDERR, "sign.php PATH SECONDS: {$error->getMessage()}\n");
        exit(1);
    }
}
