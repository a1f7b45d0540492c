# Main Street: collects permissions; changes nothing
# Run in PowerShell 7 or Windows PowerShell, after: Connect-ExchangeOnline

$Service = 'svc@example.test'
$Application = '11111111-2222-4333-8444-555555555555'
$File = 'syncops-rights.json'
$Mailboxes = @(
    'anna@example.test',
    'bob@example.test',
    'o''brien@example.test'
)
# Exchange's cmdlets look at the session's preference, not at a script's own; it is set back at the end.
$Preference = $global:ErrorActionPreference
$global:ErrorActionPreference = 'Stop'
try {
$Rows = New-Object System.Collections.ArrayList

# One row of the file. What a cmdlet refuses, and that it returned nothing, are rows too.
function Add-Row([string]$Cmdlet, [string]$Mailbox, [string]$Folder, [scriptblock]$Ask) {
    $asked = @{ Cmdlet = $Cmdlet; AskedMailbox = $Mailbox; AskedUser = $Service; AskedFolder = $Folder }
    try {
        $found = @(& $Ask)
        if ($found.Count -eq 0) { [void]$Rows.Add([pscustomobject]($asked + @{ Nothing = 'True' })) }
        foreach ($each in $found) { [void]$Rows.Add([pscustomobject]($asked + $each)) }
    } catch {
        [void]$Rows.Add([pscustomobject]($asked + @{ Error = ([string]$_ + ' ' + $_.FullyQualifiedErrorId) }))
    }
}

# The default folder by its type: its name depends on the mailbox's language.
function Get-FolderRow([string]$Mailbox, [string]$Type) {
    $found = Get-MailboxFolderStatistics -Identity $Mailbox -FolderScope $Type |
        Where-Object { $_.FolderType -eq $Type } | Select-Object -First 1
    if ($null -eq $found) { throw ($Mailbox + ': no folder of type ' + $Type) }
    $path = $Mailbox + ':' + $found.FolderPath.Replace('/', '\').Replace([string][char]63743, '/')
    Get-MailboxFolderPermission -Identity $path | ForEach-Object {
        @{ FolderName = [string]$_.FolderName; FolderType = $Type; User = [string]$_.User
           AccessRights = ($_.AccessRights -join ', '); SharingPermissionFlags = ($_.SharingPermissionFlags -join ', ') }
    }
}

# Folder permissions show the service account by its display name: this row says whose name that is.
Add-Row 'Get-Mailbox' $Service '' { Get-Mailbox -Identity $Service | ForEach-Object {
    @{ PrimarySmtpAddress = [string]$_.PrimarySmtpAddress; Name = [string]$_.Name; DisplayName = [string]$_.DisplayName; SamAccountName = [string]$_.SamAccountName } } }
Add-Row 'Get-OrganizationConfig' '' '' { Get-OrganizationConfig -RetrieveEwsOperationAccessPolicy | ForEach-Object {
    @{ EwsEnabled = [string]$_.EwsEnabled; EwsAllowedAppIDs = ($_.EwsAllowedAppIDs -join ', ') } } }
foreach ($mailbox in $Mailboxes) {
    Add-Row 'Get-CASMailbox' $mailbox '' { Get-CASMailbox -Identity $mailbox | ForEach-Object {
        @{ PrimarySmtpAddress = [string]$_.PrimarySmtpAddress; Name = [string]$_.Name; DisplayName = [string]$_.DisplayName; EwsEnabled = [string]$_.EwsEnabled } } }
    Add-Row 'Get-MailboxFolderPermission' $mailbox 'Calendar' { Get-FolderRow $mailbox 'Calendar' }
    Add-Row 'Get-MailboxFolderPermission' $mailbox 'Tasks' { Get-FolderRow $mailbox 'Tasks' }
    Add-Row 'Get-RecipientPermission' $mailbox '' { Get-RecipientPermission -Identity $mailbox -Trustee $Service | ForEach-Object {
        @{ Identity = [string]$_.Identity; Trustee = [string]$_.Trustee; AccessControlType = [string]$_.AccessControlType; AccessRights = ($_.AccessRights -join ', ') } } }
    Add-Row 'Test-ServicePrincipalAuthorization' $mailbox '' { Test-ServicePrincipalAuthorization -Identity $Application -Resource $mailbox | ForEach-Object {
        @{ RoleName = [string]$_.RoleName; AllowedResourceScope = [string]$_.AllowedResourceScope; ScopeType = [string]$_.ScopeType; InScope = [string]$_.InScope } } }
}
ConvertTo-Json -InputObject @($Rows) -Depth 3 | Out-File -FilePath $File -Encoding utf8
Write-Output ('Written: ' + $File)
} finally { $global:ErrorActionPreference = $Preference }
