"""The pieces of which scripts are made. Every one reads before it writes. Nothing of a customer is in here."""

from __future__ import annotations

_CONNECT = {
    "Office 365": "Run in PowerShell 7 or Windows PowerShell, after: Connect-ExchangeOnline",
    "2013": "Run in the Exchange Management Shell of Exchange 2013 (out of support since April 2023)",
    "2016": "Run in the Exchange Management Shell of Exchange 2016 (out of support since October 2025)",
    "2019": "Run in the Exchange Management Shell of Exchange 2019 (out of support since October 2025)",
    "SE": "Run in the Exchange Management Shell of Exchange Server SE",
}


def header(title: str, version: str) -> str:
    """What the script is for and where it runs."""
    lines = title.replace("\r", " ").replace("\n", " ")
    return f"# {lines}\n# {_CONNECT[version]}\n"


def settings(service: str, undo_file: str, group: str, assignment: str) -> str:
    """The names that the script works with, each already quoted; ``group`` and ``assignment`` "" where nobody acts for others by them."""
    acting = f"$Group = {group}\n$Assignment = {assignment}\n" if group else ""
    return (
        f"$Service = {service}\n{acting}"
        "# What was there before each change is kept in this file; the undo script reads it.\n"
        f"$UndoFile = {undo_file}\n"
        "# Exchange's cmdlets look at the session's preference, not at a script's own; it is set back at the end.\n"
        "$Preference = $global:ErrorActionPreference\n"
        "$global:ErrorActionPreference = 'Stop'\n"
        "try {\n"
    )


COMMON = """\
$script:Failed = 0

# Runs one step; a failure is said and does not stop the others.
function Step([scriptblock]$Do) {
    try { & $Do } catch { Write-Warning $_; $script:Failed += 1 }
}

# Keeps what stands before a change, before the change is made.
function Save-Before([string]$Step, [string]$Mailbox, [string]$What, [string]$Before) {
    $row = [pscustomobject]@{ Step = $Step; Mailbox = $Mailbox; What = $What; Before = $Before }
    $row | Export-Csv -Path $UndoFile -Append -NoTypeInformation -Encoding UTF8
}
"""

FIND_FOLDER = """\
# The default folder by its type: its name depends on the mailbox's language.
function Find-Folder([string]$Mailbox, [string]$Type) {
    $found = Get-MailboxFolderStatistics -Identity $Mailbox -FolderScope $Type |
        Where-Object { $_.FolderType -eq $Type } | Select-Object -First 1
    if ($null -eq $found) { throw ($Mailbox + ': no folder of type ' + $Type) }
    return $Mailbox + ':' + $found.FolderPath.Replace('/', '\\').Replace([string][char]63743, '/')
}
"""

GRANT_FOLDER = """\
# Editor of the folder: reads, creates, changes and removes items; cannot change the folder or its permissions.
function Grant-Folder([string]$Mailbox, [string]$Type) {
    $path = Find-Folder $Mailbox $Type
    $entry = Get-MailboxFolderPermission -Identity $path -User $Service -ErrorAction SilentlyContinue
    if ($null -eq $entry) {
        Save-Before 'folder' $Mailbox $Type ''
        Add-MailboxFolderPermission -Identity $path -User $Service -AccessRights Editor | Out-Null
        return
    }
    $before = $entry.AccessRights -join ','
    if (@('Editor', 'PublishingEditor', 'Owner') -contains $before) { return }
    Save-Before 'folder' $Mailbox $Type $before
    Set-MailboxFolderPermission -Identity $path -User $Service -AccessRights Editor | Out-Null
}
"""

GRANT_PRIVATE = """\
# Private events become visible. This makes the service account a delegate: it also receives the user's meeting requests.
function Grant-PrivateItems([string]$Mailbox) {
    Grant-Folder $Mailbox 'Calendar'
    $path = Find-Folder $Mailbox 'Calendar'
    $entry = Get-MailboxFolderPermission -Identity $path -User $Service
    $flags = $entry.SharingPermissionFlags -join ','
    if ($flags -like '*CanViewPrivateItems*') { return }
    if ($flags -eq '') { $flags = 'None' }
    Save-Before 'private' $Mailbox 'Calendar' $flags
    Set-MailboxFolderPermission -Identity $path -User $Service -AccessRights Editor -SharingPermissionFlags 'Delegate', 'CanViewPrivateItems' | Out-Null
}
"""

SEND_AS_ONLINE = """\
# Send As: mail from the CRM leaves with the user as its sender.
function Grant-SendAs([string]$Mailbox) {
    $entry = Get-RecipientPermission -Identity $Mailbox -Trustee $Service -AccessRights SendAs -ErrorAction SilentlyContinue
    if ($null -ne $entry) { return }
    Save-Before 'send-as' $Mailbox 'SendAs' ''
    Add-RecipientPermission -Identity $Mailbox -Trustee $Service -AccessRights SendAs -Confirm:$false | Out-Null
}
"""

SEND_AS_ON_PREMISES = """\
# Send As: mail from the CRM leaves with the user as its sender.
function Grant-SendAs([string]$Mailbox) {
    $object = (Get-Mailbox -Identity $Mailbox).DistinguishedName
    $entries = @(Get-ADPermission -Identity $object -User $Service | Where-Object { $_.ExtendedRights -like 'Send-As' })
    if (@($entries | Where-Object { $_.Deny -eq $true }).Count -gt 0) {
        throw ($Mailbox + ': Send As is denied by an entry; find out why before you remove it')
    }
    if ($entries.Count -gt 0) { return }
    Save-Before 'send-as' $Mailbox 'SendAs' ''
    Add-ADPermission -Identity $object -User $Service -ExtendedRights 'Send As' | Out-Null
}
"""

ENABLE_EWS = """\
# Exchange Web Services for one mailbox. The organisation's own switch is left to you.
function Enable-Ews([string]$Mailbox) {
    if ((Get-OrganizationConfig).EwsEnabled -eq $false) {
        throw ($Mailbox + ': EWS is off for the whole organisation; to allow it: Set-OrganizationConfig -EwsEnabled $true')
    }
    if ((Get-CASMailbox -Identity $Mailbox).EwsEnabled -ne $false) { return }
    Save-Before 'ews' $Mailbox 'EwsEnabled' 'False'
    Set-CASMailbox -Identity $Mailbox -EwsEnabled $true
}
"""

GROUP_AND_SCOPE = """\
# A group holds the accounts, a scope is made of the group: the service account may act for its direct members only.
if ($null -eq (Get-DistributionGroup -Identity $Group -ErrorAction SilentlyContinue)) {
    Save-Before 'group' '' $Group ''
    New-DistributionGroup -Name $Group -Type Security | Out-Null
}
$members = (Get-DistributionGroup -Identity $Group).DistinguishedName
$filter = "MemberOfGroup -eq '" + $members.Replace("'", "''") + "'"
$scope = Get-ManagementScope -Identity $Group -ErrorAction SilentlyContinue
if ($null -eq $scope) {
    Save-Before 'scope' '' $Group ''
    New-ManagementScope -Name $Group -RecipientRestrictionFilter $filter | Out-Null
}

# Makes a mailbox one of those that the service account may act for.
function Add-Account([string]$Mailbox) {
    $address = (Get-Mailbox -Identity $Mailbox).PrimarySmtpAddress
    $there = Get-DistributionGroupMember -Identity $Group -ResultSize Unlimited |
        Where-Object { $_.PrimarySmtpAddress -eq $address }
    if ($null -ne $there) { return }
    Save-Before 'member' $Mailbox $Group ''
    Add-DistributionGroupMember -Identity $Group -Member $Mailbox -BypassSecurityGroupManagerCheck
}
"""

ROLE = """\
# The role, restricted to the scope. Without -CustomRecipientWriteScope it would reach every mailbox.
if ($null -eq (Get-ManagementRoleAssignment -Identity $Assignment -ErrorAction SilentlyContinue)) {
    Save-Before 'assignment' '' $Assignment ''
    New-ManagementRoleAssignment -Name $Assignment -Role ApplicationImpersonation -User $Service -CustomRecipientWriteScope $Group | Out-Null
}
"""

EVERYBODY = """\
# The role over the whole organisation, as the CRM's own instructions have it. It opens every mailbox, the management's too;
# a scope over the accounts alone does the same work (`syncops rights script --setup` without --whole-organisation).
if ($null -eq (Get-ManagementRoleAssignment -Identity $Assignment -ErrorAction SilentlyContinue)) {
    Save-Before 'assignment' '' $Assignment ''
    New-ManagementRoleAssignment -Name $Assignment -Role ApplicationImpersonation -User $Service | Out-Null
}
"""


def application(app_id: str, name: str, object_id: str) -> str:
    """RBAC for Applications: what replaced the role in Exchange Online. Ids and name already quoted."""
    return f"""\
# Exchange Online withdrew ApplicationImpersonation in February 2025. The application gets the role instead, restricted to the scope.
# The object id is the enterprise application's (Entra > Enterprise applications), not the app registration's.
$ApplicationId = {app_id}
$EnterpriseObjectId = {object_id}
if ($EnterpriseObjectId -eq '') {{ $EnterpriseObjectId = Read-Host 'Object id of the enterprise application' }}
if ($null -eq (Get-ServicePrincipal -Identity $EnterpriseObjectId -ErrorAction SilentlyContinue)) {{
    Save-Before 'service-principal' '' $EnterpriseObjectId ''
    New-ServicePrincipal -AppId $ApplicationId -ObjectId $EnterpriseObjectId -DisplayName {name} | Out-Null
}}
if ($null -eq (Get-ManagementRoleAssignment -Identity $Assignment -ErrorAction SilentlyContinue)) {{
    Save-Before 'assignment' '' $Assignment ''
    New-ManagementRoleAssignment -Name $Assignment -App $EnterpriseObjectId -Role 'Application EWS.AccessAsApp' -CustomResourceScope $Group | Out-Null
}}
# By hand, in Entra: take back the application's consent to full_access_as_app. With it, the scope has no effect.
# It takes up to two hours until this shows. The application must also be in EwsAllowedAppIDs:
#   Get-OrganizationConfig -RetrieveEwsOperationAccessPolicy | Format-List EwsEnabled,EwsAllowedAppIDs
"""


END = "} finally { $global:ErrorActionPreference = $Preference }\n"
"""What every script that `settings` begins ends with."""


def footer() -> str:
    """What is said at the end."""
    return "if ($script:Failed -gt 0) { Write-Warning ([string]$script:Failed + ' steps failed; the others are done. Run it again when mended.') }\n"


_UNDO = """\
if (-not (Test-Path -Path $UndoFile)) { Write-Output ('Nothing to take back: there is no ' + $UndoFile); return }
$steps = @(Import-Csv -Path $UndoFile -Encoding UTF8)
[array]::Reverse($steps)
$failed = 0
foreach ($step in $steps) {
    $mailbox = $step.Mailbox
    $what = $step.What
    $before = $step.Before
    try {
        if ($step.Step -eq 'folder') {
            $path = Find-Folder $mailbox $what
            $entry = Get-MailboxFolderPermission -Identity $path -User $Service -ErrorAction SilentlyContinue
            # Changed by somebody since: left as it is.
            if ($null -ne $entry -and ($entry.AccessRights -join ',') -eq 'Editor') {
                if ($before -eq '') {
                    Remove-MailboxFolderPermission -Identity $path -User $Service -Confirm:$false
                } else {
                    Set-MailboxFolderPermission -Identity $path -User $Service -AccessRights ($before -split ',') | Out-Null
                }
            }
        } elseif ($step.Step -eq 'private') {
            $path = Find-Folder $mailbox $what
            $entry = Get-MailboxFolderPermission -Identity $path -User $Service -ErrorAction SilentlyContinue
            if ($null -ne $entry -and ($entry.AccessRights -join ',') -eq 'Editor') {
                Set-MailboxFolderPermission -Identity $path -User $Service -AccessRights Editor -SharingPermissionFlags $before | Out-Null
            }
        } elseif ($step.Step -eq 'send-as') {
@@SEND_AS@@
        } elseif ($step.Step -eq 'ews') {
            Set-CASMailbox -Identity $mailbox -EwsEnabled $false
        } elseif ($step.Step -eq 'member') {
            $address = (Get-Mailbox -Identity $mailbox).PrimarySmtpAddress
            $there = Get-DistributionGroupMember -Identity $what -ResultSize Unlimited |
                Where-Object { $_.PrimarySmtpAddress -eq $address }
            if ($null -ne $there) {
                Remove-DistributionGroupMember -Identity $what -Member $mailbox -BypassSecurityGroupManagerCheck -Confirm:$false
            }
        } elseif ($step.Step -eq 'assignment') {
            if ($null -ne (Get-ManagementRoleAssignment -Identity $what -ErrorAction SilentlyContinue)) {
                Remove-ManagementRoleAssignment -Identity $what -Confirm:$false
            }
        } elseif ($step.Step -eq 'scope') {
            if ($null -ne (Get-ManagementScope -Identity $what -ErrorAction SilentlyContinue)) {
                Remove-ManagementScope -Identity $what -Confirm:$false
            }
        } elseif ($step.Step -eq 'group') {
            if ($null -ne (Get-DistributionGroup -Identity $what -ErrorAction SilentlyContinue)) {
                Remove-DistributionGroup -Identity $what -BypassSecurityGroupManagerCheck -Confirm:$false
            }
        }@@MORE@@
    } catch { Write-Warning $_; $failed += 1 }
}
if ($failed -gt 0) {
    Write-Warning ([string]$failed + ' steps could not be taken back; run it again when mended.')
} else {
    Move-Item -Path $UndoFile -Destination ($UndoFile + '.done') -Force
}
"""
UNDO_ONLINE = _UNDO.replace(
    "@@SEND_AS@@",
    """\
            $entry = Get-RecipientPermission -Identity $mailbox -Trustee $Service -AccessRights SendAs -ErrorAction SilentlyContinue
            if ($null -ne $entry) {
                Remove-RecipientPermission -Identity $mailbox -Trustee $Service -AccessRights SendAs -Confirm:$false
            }""",
).replace(
    "@@MORE@@",
    """ elseif ($step.Step -eq 'service-principal') {
            if ($null -ne (Get-ServicePrincipal -Identity $what -ErrorAction SilentlyContinue)) {
                Remove-ServicePrincipal -Identity $what -Confirm:$false
            }
        }""",
)
UNDO_ON_PREMISES = _UNDO.replace(
    "@@SEND_AS@@",
    """\
            $object = (Get-Mailbox -Identity $mailbox).DistinguishedName
            $entries = @(Get-ADPermission -Identity $object -User $Service | Where-Object { $_.ExtendedRights -like 'Send-As' })
            if ($entries.Count -gt 0) {
                Remove-ADPermission -Identity $object -User $Service -ExtendedRights 'Send As' -Confirm:$false
            }""",
).replace("@@MORE@@", "")
