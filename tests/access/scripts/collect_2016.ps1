# Main Street: collects permissions; changes nothing
# Run in the Exchange Management Shell of Exchange 2016 (out of support since October 2025)

$Service = 'svc@example.test'
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
Add-Row 'Get-OrganizationConfig' '' '' { Get-OrganizationConfig | ForEach-Object {
    @{ EwsEnabled = [string]$_.EwsEnabled } } }
foreach ($mailbox in $Mailboxes) {
    Add-Row 'Get-CASMailbox' $mailbox '' { Get-CASMailbox -Identity $mailbox | ForEach-Object {
        @{ PrimarySmtpAddress = [string]$_.PrimarySmtpAddress; Name = [string]$_.Name; DisplayName = [string]$_.DisplayName; EwsEnabled = [string]$_.EwsEnabled } } }
    Add-Row 'Get-MailboxFolderPermission' $mailbox 'Calendar' { Get-FolderRow $mailbox 'Calendar' }
    Add-Row 'Get-MailboxFolderPermission' $mailbox 'Tasks' { Get-FolderRow $mailbox 'Tasks' }
    Add-Row 'Get-ADPermission' $mailbox '' { Get-ADPermission -Identity (Get-Mailbox -Identity $mailbox).DistinguishedName -User $Service | ForEach-Object {
        @{ User = [string]$_.User; ExtendedRights = ($_.ExtendedRights -join ', '); AccessRights = ($_.AccessRights -join ', '); Deny = [string]$_.Deny } } }
    Add-Row 'Get-ManagementRoleAssignment' $mailbox '' { Get-ManagementRoleAssignment -Role ApplicationImpersonation -GetEffectiveUsers -WritableRecipient $mailbox | ForEach-Object {
        @{ Name = [string]$_.Name; Role = [string]$_.Role; RoleAssigneeName = [string]$_.RoleAssigneeName; RoleAssigneeType = [string]$_.RoleAssigneeType
           EffectiveUserName = [string]$_.EffectiveUserName; Enabled = [string]$_.Enabled; RecipientWriteScope = [string]$_.RecipientWriteScope
           CustomRecipientWriteScope = [string]$_.CustomRecipientWriteScope; RoleAssignmentDelegationType = [string]$_.RoleAssignmentDelegationType } } }
}
ConvertTo-Json -InputObject @($Rows) -Depth 3 | Out-File -FilePath $File -Encoding utf8
Write-Output ('Written: ' + $File)
} finally { $global:ErrorActionPreference = $Preference }
