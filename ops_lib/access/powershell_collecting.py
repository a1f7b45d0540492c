"""The script that collects what a check reads, into one JSON file. It changes nothing, and asks only what the host's access has an answer to."""

from __future__ import annotations

_BEGIN = """\
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
"""

_FOLDER = """
# The default folder by its type: its name depends on the mailbox's language.
function Get-FolderRow([string]$Mailbox, [string]$Type) {
    $found = Get-MailboxFolderStatistics -Identity $Mailbox -FolderScope $Type |
        Where-Object { $_.FolderType -eq $Type } | Select-Object -First 1
    if ($null -eq $found) { throw ($Mailbox + ': no folder of type ' + $Type) }
    $path = $Mailbox + ':' + $found.FolderPath.Replace('/', '\\').Replace([string][char]63743, '/')
    Get-MailboxFolderPermission -Identity $path | ForEach-Object {
        @{ FolderName = [string]$_.FolderName; FolderType = $Type; User = [string]$_.User
           AccessRights = ($_.AccessRights -join ', '); SharingPermissionFlags = ($_.SharingPermissionFlags -join ', ') }
    }
}

# Folder permissions show the service account by its display name: this row says whose name that is.
Add-Row 'Get-Mailbox' $Service '' { Get-Mailbox -Identity $Service | ForEach-Object {
    @{ PrimarySmtpAddress = [string]$_.PrimarySmtpAddress; Name = [string]$_.Name; DisplayName = [string]$_.DisplayName; SamAccountName = [string]$_.SamAccountName } } }"""

_ORGANISATION = """
Add-Row 'Get-OrganizationConfig' '' '' { Get-OrganizationConfig | ForEach-Object {
    @{ EwsEnabled = [string]$_.EwsEnabled } } }"""
_ORGANISATION_ONLINE = """
Add-Row 'Get-OrganizationConfig' '' '' { Get-OrganizationConfig -RetrieveEwsOperationAccessPolicy | ForEach-Object {
    @{ EwsEnabled = [string]$_.EwsEnabled; EwsAllowedAppIDs = ($_.EwsAllowedAppIDs -join ', ') } } }"""

_EACH = """
foreach ($mailbox in $Mailboxes) {
    Add-Row 'Get-CASMailbox' $mailbox '' { Get-CASMailbox -Identity $mailbox | ForEach-Object {
        @{ PrimarySmtpAddress = [string]$_.PrimarySmtpAddress; Name = [string]$_.Name; DisplayName = [string]$_.DisplayName; EwsEnabled = [string]$_.EwsEnabled } } }"""
_FOLDERS = """
    Add-Row 'Get-MailboxFolderPermission' $mailbox 'Calendar' { Get-FolderRow $mailbox 'Calendar' }
    Add-Row 'Get-MailboxFolderPermission' $mailbox 'Tasks' { Get-FolderRow $mailbox 'Tasks' }"""
_SEND_AS_ONLINE = """
    Add-Row 'Get-RecipientPermission' $mailbox '' { Get-RecipientPermission -Identity $mailbox -Trustee $Service | ForEach-Object {
        @{ Identity = [string]$_.Identity; Trustee = [string]$_.Trustee; AccessControlType = [string]$_.AccessControlType; AccessRights = ($_.AccessRights -join ', ') } } }"""
_APPLICATION = """
    Add-Row 'Test-ServicePrincipalAuthorization' $mailbox '' { Test-ServicePrincipalAuthorization -Identity $Application -Resource $mailbox | ForEach-Object {
        @{ RoleName = [string]$_.RoleName; AllowedResourceScope = [string]$_.AllowedResourceScope; ScopeType = [string]$_.ScopeType; InScope = [string]$_.InScope } } }"""
_ON_PREMISES = """
    Add-Row 'Get-ADPermission' $mailbox '' { Get-ADPermission -Identity (Get-Mailbox -Identity $mailbox).DistinguishedName -User $Service | ForEach-Object {
        @{ User = [string]$_.User; ExtendedRights = ($_.ExtendedRights -join ', '); AccessRights = ($_.AccessRights -join ', '); Deny = [string]$_.Deny } } }
    Add-Row 'Get-ManagementRoleAssignment' $mailbox '' { Get-ManagementRoleAssignment -Role ApplicationImpersonation -GetEffectiveUsers -WritableRecipient $mailbox | ForEach-Object {
        @{ Name = [string]$_.Name; Role = [string]$_.Role; RoleAssigneeName = [string]$_.RoleAssigneeName; RoleAssigneeType = [string]$_.RoleAssigneeType
           EffectiveUserName = [string]$_.EffectiveUserName; Enabled = [string]$_.Enabled; RecipientWriteScope = [string]$_.RecipientWriteScope
           CustomRecipientWriteScope = [string]$_.CustomRecipientWriteScope; RoleAssignmentDelegationType = [string]$_.RoleAssignmentDelegationType } } }"""
_END = """
}
ConvertTo-Json -InputObject @($Rows) -Depth 3 | Out-File -FilePath $File -Encoding utf8
Write-Output ('Written: ' + $File)
} finally { $global:ErrorActionPreference = $Preference }
"""


def collecting(*, online: bool, with_service: bool, with_application: bool) -> str:
    """What follows the script's settings. Without a service account, or an application, nothing is asked of their rights."""
    pieces = [_BEGIN, _FOLDER if with_service else "", _ORGANISATION_ONLINE if online else _ORGANISATION, _EACH]
    if with_service:
        pieces += [_FOLDERS, _SEND_AS_ONLINE if online else _ON_PREMISES]
    if online and with_application:
        pieces.append(_APPLICATION)
    return "".join((*pieces, _END))
